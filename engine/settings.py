"""The only reader of the environment and of configuration files.

Order: arguments > environment (`WORKBENCH_DATA_DIR`, nested `WORKBENCH_LIMITS__MAX_PAGES`) > `workbench.toml` (in the working
folder, or the file that `WORKBENCH_CONFIG` names) > defaults. Unknown keys are refused with the known ones listed.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from engine import faults
from engine.errors import ConfigError, MissingSecret
from engine.sections import (
    AccountRules,
    Alerting,
    Audit,
    Backups,
    Caching,
    EgressLimits,
    Ingestion,
    Injection,
    Limits,
    Monitoring,
    Resilience,
    Retrieval,
    Section,
    SessionLimits,
    UploadLimits,
)

PREFIX = "WORKBENCH_"
NOT_SETTINGS = frozenset({"WORKBENCH_CONFIG", "WORKBENCH_TEST_DATA", "WORKBENCH_PROVIDER_KEY", "WORKBENCH_FAULT"})
MIN_SECRET_CHARS = 32
SECRETS_NEW = ".secrets.json."  # and the number of the process that is writing it
KNOWN_SECRETS = frozenset({"changeme", "secret", "some_key", "t0p-s3cr3t", "your-secret-key", "admin", "password"})


class Settings(BaseSettings):
    """Everything an operator can set. Frozen: what changes at run time lives in SQL."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", frozen=True, extra="forbid", validate_default=True
    )

    data_dir: Path = Field(default=Path("data"), description="database, originals, indexes and secrets")
    database_url: str = Field(default="", description="SQLAlchemy URL; empty = SQLite in the data folder")
    secret_key: SecretStr = Field(default=SecretStr(""), description="at least 32 characters; empty = made at the first start")
    embedder: str = "local"
    store: str = "faiss"
    generator: str = "extractive"
    chunker: str = "recursive"
    chunk_tokens: int = Field(default=200, ge=16, description="never above what the embedder reads")
    overlap_tokens: int = Field(default=30, ge=0)
    threads: int = Field(default=0, ge=0, description="threads of local models; 0 = all cores")
    ingest_workers: int = Field(default=2, ge=1, description="files in work at the same time")
    secure_cookies: bool = Field(default=False, description="TLS is in front: Secure cookies, HSTS")
    allowed_hosts: tuple[str, ...] = Field(
        default=(), description="names this server answers to; empty = any (on loopback: its names)"
    )
    trusted_proxies: tuple[str, ...] = Field(
        default=(), description="networks (CIDR) whose X-Forwarded-For is believed; empty = none"
    )
    limits: Limits = Limits()
    retrieval: Retrieval = Retrieval()
    injection: Injection = Injection()
    sessions: SessionLimits = SessionLimits()
    egress: EgressLimits = EgressLimits()
    audit: Audit = Audit()
    accounts: AccountRules = AccountRules()
    uploads: UploadLimits = UploadLimits()
    replicas: int = Field(default=1, ge=1, description="processes that serve; shares limits among them while Redis is away")
    resilience: Resilience = Resilience()
    caching: Caching = Caching()
    monitoring: Monitoring = Monitoring()
    alerting: Alerting = Alerting()
    ingestion: Ingestion = Ingestion()
    backups: Backups = Backups()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, then environment, then the configuration file."""
        path = Path(os.environ.get(f"{PREFIX}CONFIG", "workbench.toml"))
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, toml_file=path)

    @property
    def url(self) -> str:
        """The database URL in force."""
        return self.database_url or f"sqlite+aiosqlite:///{(self.data_dir / 'workbench.db').resolve()}"

    @property
    def incoming(self) -> Path:
        """Where files are while they are received, unpacked or sent."""
        return self.data_dir / "incoming"


def load_settings(**arguments: Any) -> Settings:
    """Read settings from all sources. Raises ConfigError that names the key, the problem and the known keys."""
    _refuse_unknown_environment()
    faults.arm(os.environ.get("WORKBENCH_FAULT", ""))
    try:
        return Settings(**arguments)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in one['loc'])}: {one['msg']}" for one in error.errors(include_input=False)
        )
        raise ConfigError(f"settings are wrong: {problems}", hint=f"known keys: {', '.join(known_keys())}") from None
    except ValueError as error:
        raise ConfigError(f"the settings cannot be read: {error}", hint="correct the configuration file") from None


def known_keys() -> list[str]:
    """Return every key, nested ones with a dot."""
    keys: list[str] = []
    for name, info in Settings.model_fields.items():
        kind = info.annotation
        if isinstance(kind, type) and issubclass(kind, Section):
            keys += [f"{name}.{inner}" for inner in kind.model_fields]
        else:
            keys.append(name)
    return keys


def _refuse_unknown_environment() -> None:
    # pydantic-settings ignores unknown variables with its prefix, so that a typing error would pass in silence.
    known = {PREFIX + key.upper().replace(".", "__") for key in known_keys()}
    known |= {name.split("__")[0] for name in known}
    unknown = sorted(name for name in os.environ if name.startswith(PREFIX) and name not in known | NOT_SETTINGS)
    if unknown:
        raise ConfigError(f"unknown environment variables: {', '.join(unknown)}", hint=f"known: {', '.join(sorted(known))}")


def check_secret(value: str, *, name: str) -> str:
    """Return `value`. Raises MissingSecret when it is publicly known or shorter than 32 characters."""
    if value.lower() in KNOWN_SECRETS or len(value) < MIN_SECRET_CHARS or len(set(value)) < 8:
        raise MissingSecret(
            f"{name} is a known placeholder or too short",
            hint=f"use at least {MIN_SECRET_CHARS} random characters, or leave it out: the first start makes one",
        )
    return value


def secrets_in_environment(names: Sequence[str]) -> dict[str, str]:
    """Return those variables among `names` that are set; for offering them to an admin, never for using them unasked."""
    return {name: os.environ[name] for name in names if os.environ.get(name, "").strip()}


def server_environment(settings: Settings) -> dict[str, str]:
    """Return the environment of the web server: this one, the data folder made absolute, and Streamlit's cookie secret."""
    secret = load_secrets(settings)["secret_key"].get_secret_value()
    derived = hashlib.sha256(b"workbench cookies v1\0" + secret.encode()).hexdigest()
    return os.environ | {
        f"{PREFIX}DATA_DIR": str(settings.data_dir.resolve()),
        "STREAMLIT_SERVER_COOKIE_SECRET": derived,
        # Torch's workers wait for each other by spinning. Beside a web server and a browser on few cores that costs answers
        # seconds: 3 to 8 s to the first word, against 1 to 2 s when they sleep (two cores, both measured in a browser).
        "OMP_WAIT_POLICY": os.environ.get("OMP_WAIT_POLICY", "PASSIVE"),
        # Uvicorn would believe X-Forwarded-For of any local client, and the sign-in lock counts addresses.
        "FORWARDED_ALLOW_IPS": os.environ.get("FORWARDED_ALLOW_IPS", ""),
    }


def settings_text(settings: Settings) -> str:
    """Return all settings as one line of JSON that `load_settings(**json.loads(line))` takes, secrets included.

    For a pipe to a process of our own, never for a file or a log.
    """

    def plain(value: object) -> str:
        if isinstance(value, SecretStr):
            return value.get_secret_value()
        if isinstance(value, Path):
            return str(value)
        raise TypeError(type(value).__name__)

    return json.dumps(settings.model_dump() | {"data_dir": settings.data_dir.resolve()}, default=plain)


def child_environment() -> dict[str, str]:
    """Return the environment of a process that runs this engine: this one, with the engine's folder to import from."""
    paths = [str(Path(__file__).resolve().parents[1]), os.environ.get("PYTHONPATH", "")]
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}


def load_secrets(settings: Settings) -> dict[str, SecretStr]:
    """Return the secrets of this installation; the first call writes random ones into the data folder, mode 0600.

    Keys: "secret_key" (signs what leaves the process). Raises MissingSecret.
    """
    path = settings.data_dir / "secrets.json"
    try:
        if not path.exists():
            _write_new(path, json.dumps({"secret_key": secrets.token_urlsafe(48)}))
        stored = str(json.loads(path.read_text())["secret_key"])
    except OSError as error:
        raise ConfigError(
            f"the data folder {settings.data_dir} cannot be used: {error.strerror}",
            hint="set WORKBENCH_DATA_DIR to a folder that can be written",
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            "secrets.json in the data folder is damaged",
            hint="restore it from a backup; without it, stored passwords of encrypted files cannot be opened",
        ) from error
    given = settings.secret_key.get_secret_value()
    return {"secret_key": SecretStr(check_secret(given or stored, name="secret_key"))}


def _write_new(path: Path, text: str) -> None:
    # Written aside and linked into place: of two processes that start together one wins, and none reads half a file.
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_name(f"{SECRETS_NEW}{os.getpid()}")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    try:
        os.link(temporary, path)
    except FileExistsError:
        pass
    finally:
        temporary.unlink()
