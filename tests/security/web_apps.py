"""The same small application in FastAPI, Flask and Django (ASGI and WSGI), each served on a real socket of loopback."""
# ruff: noqa: B008 - FastAPI's way to name a dependency

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading
import time
import types
import wsgiref.simple_server

import django
import flask
import uvicorn
from django.conf import settings as django_settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from fastapi import Depends, FastAPI, Request, WebSocket, WebSocketDisconnect
from fastapi.responses import JSONResponse
from werkzeug.serving import make_server

from engine.security import apply_security_to_django, apply_security_to_fastapi, apply_security_to_flask

OWN_POLICY = "default-src 'self'"


def fastapi_app(config):
    """The example of the documentation, with a few routes more."""
    app = FastAPI()
    security = apply_security_to_fastapi(app, config)
    auth_dependency = security.create_auth_dependency()

    @app.post("/chat")
    async def chat(query: str, user=Depends(auth_dependency)):
        return {"query": query, "user": user.subject}

    @app.delete("/documents/{number}")
    async def delete(number: int, user=Depends(security.create_auth_dependency("write"))):
        return {"deleted": number, "user": user.subject}

    @app.get("/forgotten")
    async def forgotten():
        return "nobody thought of a dependency here"

    @app.get("/health")
    async def health(request: Request):
        return {"user": getattr(request.state.security_user, "subject", None)}

    @app.post("/echo")
    async def echo(request: Request):
        return {"length": len(await request.body()), "spoofed": request.headers.get("x-remote-user")}

    @app.get("/own-headers")
    async def own():
        return JSONResponse({}, headers={"content-security-policy": OWN_POLICY})

    @app.get("/boom")
    async def boom():
        raise ValueError("a secret detail of the inside")

    @app.get("/unavailable")
    async def unavailable():
        return JSONResponse({}, status_code=503)

    @app.websocket("/ws")
    async def ws(websocket: WebSocket, user=Depends(auth_dependency)):
        await websocket.accept()
        with contextlib.suppress(WebSocketDisconnect):
            while True:
                await websocket.send_text(f"{user.subject}: {await websocket.receive_text()}")

    return app, security


def flask_app(config):
    """The same in Flask; the caller is in the environ."""
    app = flask.Flask(__name__)
    security = apply_security_to_flask(app, config)

    def user():
        found = flask.request.environ["workbench.user"]
        return found.subject if found else None

    @app.post("/chat")
    def chat():
        return {"query": flask.request.args["query"], "user": user()}

    @app.get("/forgotten")
    def forgotten():
        return "nobody thought of authentication here"

    @app.get("/health")
    def health():
        return {"user": user()}

    @app.post("/echo")
    def echo():
        return {"length": len(flask.request.get_data()), "spoofed": flask.request.headers.get("x-remote-user")}

    @app.get("/own-headers")
    def own():
        return {}, 200, {"content-security-policy": OWN_POLICY}

    @app.get("/boom")
    def boom():
        raise ValueError("a secret detail of the inside")

    @app.get("/unavailable")
    def unavailable():
        return {}, 503

    return app, security


def _urls():
    def user(request):
        found = request.scope["state"]["security_user"] if hasattr(request, "scope") else request.META["workbench.user"]
        return found.subject if found else None

    @csrf_exempt
    def chat(request):
        return JsonResponse({"query": request.GET["query"], "user": user(request)})

    @csrf_exempt
    def echo(request):
        return JsonResponse({"length": len(request.body), "spoofed": request.headers.get("x-remote-user")})

    def boom(request):
        raise ValueError("a secret detail of the inside")

    urls = types.ModuleType("urls")
    urls.urlpatterns = [
        path("chat", chat),
        path("echo", echo),
        path("boom", boom),
        path("forgotten", lambda request: JsonResponse({})),
        path("health", lambda request: JsonResponse({"user": user(request)})),
        path("own-headers", lambda request: JsonResponse({}, headers={"content-security-policy": OWN_POLICY})),
        path("unavailable", lambda request: JsonResponse({}, status=503)),
    ]
    return urls


def _django(get_application, config):
    if not django_settings.configured:
        django_settings.configure(
            ALLOWED_HOSTS=["*"],
            ROOT_URLCONF=_urls(),
            SECRET_KEY="django-of-the-tests",
            MIDDLEWARE=[],
            DATA_UPLOAD_MAX_MEMORY_SIZE=None,
            LOGGING_CONFIG=None,
        )
        django.setup()
    wrapped = apply_security_to_django(get_application(), config)
    return wrapped, wrapped.security


STACKS = {
    "fastapi": fastapi_app,
    "flask": flask_app,
    "django-asgi": lambda config: _django(get_asgi_application, config),
    "django-wsgi": lambda config: _django(get_wsgi_application, config),
}


class _Quiet(wsgiref.simple_server.WSGIRequestHandler):
    def log_message(self, *_):
        pass


class _Threading(socketserver.ThreadingMixIn, wsgiref.simple_server.WSGIServer):
    daemon_threads = True


@contextlib.contextmanager
def running(app, kind):
    """Serve `app` and give its port: ASGI by uvicorn, Flask by Werkzeug's server, other WSGI by wsgiref's."""
    if kind in {"fastapi", "django-asgi"}:
        listening = socket.create_server(("127.0.0.1", 0))
        # What uvicorn makes of X-Forwarded-For by itself would hide whom we have to trust.
        config = uvicorn.Config(app, log_level="critical", proxy_headers=False, lifespan="off")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        try:
            while not server.started:
                time.sleep(0.005)
            yield listening.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join(10)
            listening.close()
        return
    if kind == "flask":
        http = make_server("127.0.0.1", 0, app, threaded=True)
        http.RequestHandlerClass.log = lambda *_: None
    else:
        http = wsgiref.simple_server.make_server("127.0.0.1", 0, app, server_class=_Threading, handler_class=_Quiet)
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield http.server_port
    finally:
        http.shutdown()
        thread.join(10)
        http.server_close()


@contextlib.contextmanager
def serving(kind, config):
    """Give the address of the application `kind` behind the rules of `config`, and its SecurityIntegration."""
    app, security = STACKS[kind](config)
    with running(app, kind) as port:
        yield f"http://127.0.0.1:{port}", security
