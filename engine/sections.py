"""The groups of settings: what each key means and which values it takes. `engine.settings` reads them."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, SecretStr


class Section(BaseModel):
    """A group of settings: frozen, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Limits(Section):
    """What one file may cost. A file that exceeds a limit is refused with that limit's name; nothing else is affected."""

    max_file_mb: int = Field(default=200, description="largest upload, in megabytes")
    max_pages: int = Field(default=5000, description="pages, slides or sheets of one file")
    max_text_chars: int = Field(default=50_000_000, description="characters of text in one file")
    max_unpacked_mb: int = Field(default=400, description="what an archive-based file (.docx, .xlsx, .pptx) may unpack to")
    parse_seconds: float = Field(default=60.0, description="wall time of one parse")
    parse_memory_mb: int = Field(default=1024, description="memory of the process that parses")
    question_chars: int = Field(default=4000, description="longest question")
    questions_per_minute: int = Field(default=30, ge=1, description="questions of one user, whichever way they come")
    questions_at_once: int = Field(default=8, ge=1, description="questions of one user that a process answers at a time")


class Retrieval(Section):
    """How passages are found. The fusion defaults were chosen on training splits; see docs/retrieval.md."""

    mode: str = Field(default="hybrid", pattern="^(dense|lexical|hybrid)$")
    fusion: str = Field(default="convex", pattern="^(convex|rrf)$")
    dense_weight: float = Field(default=0.45, ge=0, le=1, description="share of the dense score in the convex combination")
    naming_weight: float = Field(default=0.3, ge=0, le=1, description="what naming a file in the question adds")
    rrf_k: int = Field(default=60, ge=1)
    candidates: int = Field(default=200, ge=1, description="how many each half brings to the fusion")
    passages: int = Field(default=8, ge=1, description="passages handed to the generator")
    diversity: float = Field(default=0.0, ge=0, le=1, description="share of MMR's novelty term among the passages; 0 = off")


class Injection(Section):
    """When a passage that tries to command its reader is marked or kept out of answers; see docs/hostile-content.md.

    Both apply when a document is processed.
    """

    flag_score: float = Field(default=0.5, ge=0, description="from here on it is marked, and its demands are not quoted")
    hold_score: float = Field(default=0.9, ge=0, description="from here on it is kept out of answers; 1.1 = never")


class SessionLimits(Section):
    """How long a sign-in lasts."""

    idle_minutes: int = 30
    absolute_hours: int = 12
    per_user: int = 5


class EgressLimits(Section):
    """Where the server may connect to. An entry is "public", "loopback", "private", a network, a host or "*.example.com"."""

    urls: tuple[str, ...] = Field(default=("public",), description="for adding documents by their web address")
    providers: tuple[str, ...] = Field(default=("public", "loopback"), description="for models and stores")
    url_ports: tuple[int, ...] = Field(default=(80, 443), description="ports of web addresses")
    url_max_mb: int = Field(default=50, ge=1, description="largest file that is fetched, in megabytes")
    url_seconds: float = Field(default=60.0, gt=0, description="wall time of one fetch, redirects included")


class Audit(Section):
    """What is recorded, and how it is kept; see docs/audit.md."""

    checkpoint_file: str = Field(default="", description="empty = audit-checkpoints.jsonl in the data folder")
    checkpoint_minutes: int = Field(default=5, ge=1, description="a checkpoint at least so often, while the server runs")
    checkpoint_rows: int = Field(default=1000, ge=1, description="and after so many rows")
    retention_days: int = Field(default=365, ge=0, description="nothing younger is ever removed")
    question_text: bool = Field(default=False, description="keep the text of questions, too")

    def checkpoints(self, data_dir: Path) -> Path:
        """Return where the checkpoints are."""
        return Path(self.checkpoint_file) if self.checkpoint_file else data_dir / "audit-checkpoints.jsonl"


class AccountRules(Section):
    """When sign-ins are locked, and how long a link for choosing a password lasts."""

    lock_after: int = Field(default=10, ge=1, description="wrong tries at one account within lock_minutes")
    lock_minutes: int = Field(default=15, ge=1, description="how long a wrong try counts")
    lock_address_after: int = Field(default=50, ge=1, description="wrong tries from one address within lock_minutes")
    invite_hours: int = Field(default=72, ge=1, description="how long an invitation or a reset link lasts")


class UploadLimits(Section):
    """What one user may send in any 60 minutes. The command line on the machine itself is not limited."""

    files_per_hour: int = Field(default=1000, ge=1)
    mb_per_hour: int = Field(default=4000, ge=1, description="megabytes")


class Resilience(Section):
    """When a dependency is left alone, how often it is asked again, and how long anybody waits; see docs/resilience.md."""

    window: str = Field(default="count", pattern="^(count|time)$", description="what the rates are measured over")
    window_calls: int = Field(default=20, ge=1, description="the last calls, for window = count")
    window_seconds: float = Field(default=60.0, gt=0, description="the last seconds, for window = time")
    minimum_calls: int = Field(default=5, ge=1, description="with fewer calls in the window no breaker opens")
    failure_rate: float = Field(default=0.5, gt=0, le=1, description="share of failed calls that opens a breaker")
    slow_rate: float = Field(default=0.8, gt=0, le=1, description="share of slow calls that opens a breaker")
    slow_seconds: float = Field(default=60.0, gt=0, description="from here on a call is slow")
    open_seconds: float = Field(default=30.0, gt=0, description="first wait of an open breaker; it doubles each time")
    longest_open_seconds: float = Field(default=300.0, gt=0, description="longest wait of an open breaker")
    probes: int = Field(default=2, ge=1, description="calls that a half-open breaker lets through")
    probe_seconds: float = Field(default=120.0, gt=0, description="a probe that takes longer counts as failed")
    attempts: int = Field(default=2, ge=1, le=5, description="tries of one call, the first included")
    backoff_seconds: float = Field(default=0.5, gt=0, description="longest wait before the second try; it doubles")
    longest_wait_seconds: float = Field(default=60.0, gt=0, description="a provider that asks for more is given up at once")
    retry_budget: float = Field(default=0.2, ge=0, le=1, description="further tries, as a share of all calls")
    concurrent_calls: int = Field(default=16, ge=1, description="calls of one dependency at the same time")
    ramp_seconds: float = Field(default=10.0, ge=0, description="after a start, until all of them are allowed")
    answer_seconds: float = Field(default=180.0, gt=0, description="for one question, from the first step to the last word")
    first_token_seconds: float = Field(default=60.0, gt=0, description="for the first word of an answer")
    next_token_seconds: float = Field(default=30.0, gt=0, description="between two words of an answer")


class Caching(Section):
    """What is kept to be quick; see docs/caching.md. Without Redis it is kept in each process."""

    redis_url: SecretStr = Field(default=SecretStr(""), description="redis://[:password@]host:port/db, rediss://")
    prefix: str = Field(default="workbench", pattern="^[a-z0-9-]{1,40}$", description="begins every key in Redis")
    memory_mb: int = Field(default=64, ge=1, description="of each process")
    answers: bool = Field(default=True, description="give an answer again while nothing it rests on has changed")
    answer_hours: float = Field(default=24.0, gt=0)
    share_answers: bool = Field(default=False, description="also with others who may read the same collections")
    embedding_hours: float = Field(default=24.0 * 7, gt=0, description="vectors of questions")


class Monitoring(Section):
    """What is measured, and who gets it; see docs/monitoring.md."""

    metrics_port: int = Field(default=0, ge=0, le=65535, description="a port of its own for Prometheus; 0 = only /metrics")
    metrics_host: str = Field(default="127.0.0.1", description="where that port listens; it asks for no credential")
    otlp_endpoint: str = Field(default="", description="where OpenTelemetry traces go, over HTTP; empty = nowhere")
    log_format: str = Field(default="text", pattern="^(text|json)$")
    minute_hours: int = Field(default=48, ge=1, description="history in steps of minutes and half hours; longer ones: 400 days")
    instance: str = Field(default="", pattern="^[A-Za-z0-9._-]{0,40}$", description="this replica's name; empty = the host's")


class Ingestion(Section):
    """How files are read and who does it; see docs/ingestion.md."""

    worker: str = Field(
        default="child",
        pattern="^(child|inside|celery|none)$",
        description="child = a process of its own that the server starts; inside = the server itself; celery = workers fed by"
        " broker_url; none = others, who look into the database",
    )
    broker_url: SecretStr = Field(default=SecretStr(""), description="redis://... of Celery")
    attempts: int = Field(default=3, ge=1, description="how often a file may take its worker with it")
    stalled_seconds: float = Field(default=60.0, gt=0, le=300, description="a lease that is not prolonged ends after this")
    ocr: bool = Field(default=True, description="read the text of pages that are pictures")
    ocr_dpi: int = Field(default=200, ge=72, le=600)
    ocr_page_seconds: float = Field(default=180.0, gt=0, description="wall time of one page")
    ocr_max_pages: int = Field(default=1000, ge=1, description="pictures of one file that are read")
    reconcile_minutes: float = Field(default=30.0, ge=0, description="indexes are compared with SQL so often; 0 = when asked")
    archive_files: int = Field(default=2000, ge=1, description="files in one archive")


class Backups(Section):
    """Backups by the server itself; see docs/backup.md."""

    folder: str = Field(default="", description="empty = backups in the data folder; better: another volume")
    every_hours: float = Field(default=0.0, ge=0, description="0 = only when asked")
    keep: int = Field(default=7, ge=1, description="scheduled backups that are kept")
    passphrase: SecretStr = Field(default=SecretStr(""), description="scheduled backups are encrypted with it")
    test_restore: bool = Field(default=True, description="restore each scheduled backup to an empty place and compare")


class Alerting(Section):
    """How alerts leave the house; rules and receivers are set on the health page."""

    smtp_url: SecretStr = Field(default=SecretStr(""), description="smtp://[user:password@]host:port (STARTTLS) or smtps://")
    mail_from: str = Field(default="", description="sender of mails")
    webhooks: tuple[str, ...] = Field(default=("public",), description="where webhooks may go; entries as in egress")
    every_seconds: float = Field(default=15.0, gt=0, description="how often rules are looked at")
