"""`python -m dashboard`: open the dashboard in the browser."""

from __future__ import annotations

import argparse
import os
import sys
import threading
from pathlib import Path

# Sessions share the cores: a thread that waits for another must sleep, not spin (read once, when torch is loaded).
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from streamlit.web import cli

from dashboard.options import add_content_flags, content_arguments
from fusion_core.commands.flags import say
from fusion_core.errors import FusionError
from fusion_core.hub import located

LOCAL = ("127.0.0.1", "localhost", "::1")
APP = Path(__file__).with_name("app.py")
#: What guards data and speed, said as flags: `.streamlit/config.toml` is read only where the command was started.
GUARDS = {
    "browser.gatherUsageStats": "false",
    "client.showErrorDetails": "none",
    "client.toolbarMode": "minimal",
    "server.showEmailPrompt": "false",  # the first start on a machine would wait for an answer in the terminal
    "logger.hideWelcomeMessage": "true",  # also keeps advertisements for app builders off the page
    "server.maxUploadSize": "100",
    "server.enableXsrfProtection": "true",
    "server.enableCORS": "true",
    "server.fileWatcherType": "none",
    "runner.postScriptGC": "false",
}


def main() -> None:
    """Start Streamlit on this machine only, unless the operator says who guards another address."""
    parser = argparse.ArgumentParser(prog="python -m dashboard", description="Open Fusion Lens in the browser.")
    add_content_flags(parser)
    parser.add_argument("--port", type=int, default=8501)
    parser.add_argument("--address", default="127.0.0.1", help="another address needs --behind-proxy")
    parser.add_argument(
        "--behind-proxy", action="store_true", help="I state that a proxy with a login guards the address"
    )
    parser.add_argument("--no-browser", action="store_true", help="do not open a browser window")
    given = parser.parse_args()
    if given.address not in LOCAL and not given.behind_proxy:
        parser.error(
            f"--address {given.address} would show this dashboard to others without a login; see --behind-proxy"
        )
    _check(parser, given)
    for name in given.model_object:
        print(f"running your own code: {name}", file=sys.stderr, flush=True)
    sys.argv = [
        "streamlit", "run", str(APP),
        f"--server.port={given.port}",
        f"--server.address={given.address}",
        f"--server.headless={'true' if given.no_browser else 'false'}",
        *(f"--{name}={value}" for name, value in GUARDS.items()),
        "--", *content_arguments(given),
    ]  # fmt: skip
    threading.Thread(target=_load_libraries, daemon=True).start()
    print(f"Fusion Lens opens at http://{given.address}:{given.port} (stop it with Ctrl+C)", flush=True)
    cli.main()


def _check(parser: argparse.ArgumentParser, given: argparse.Namespace) -> None:
    """Fetch what may be fetched, and end with one line where something named cannot be opened."""
    try:
        given.model = [located(model, given.allow_hub, say) for model in given.model]
    except FusionError as error:
        parser.error(str(error))
    if given.keep_models < 1:
        parser.error(f"--keep-models {given.keep_models}; at least 1")
    for folder in (*given.model, *given.encoder_root, *filter(None, (given.records, given.training, given.log))):
        if not folder.exists():
            parser.error(f"{folder.name!r} does not exist")
        foreign = (folder / "config.json").is_file() and not (folder / "model.json").is_file()
        if foreign and bool(given.labels) == bool(given.task):
            parser.error(f"say what to ask of {folder.name!r}: --labels a,b,c, or --task match")
    if given.prompt:
        from fusion_core.foreign import is_foreign, takes_prompt

        if not any(is_foreign(model) and takes_prompt(model) for model in given.model):
            parser.error("--prompt is for decoders, and none is opened")


def _load_libraries() -> None:
    """Load what takes seconds while the browser is still opening."""
    from dashboard import inspection

    del inspection


if __name__ == "__main__":
    main()
