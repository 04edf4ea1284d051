"""How a person reaches a dashboard of this computer: its port, a browser, and the way through SSH, JupyterHub or a notebook."""

from __future__ import annotations

import getpass
import os
import shlex
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

from multiboard.dashboard import HOST, DashboardError, check_port, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PORT: Final = 6006
"""The port that TensorBoard's own documentation uses, and that people have tunnels for."""
_CONTAINER: Final = "/.dockerenv"


def usual_port() -> int:
    """Return 6006, or a free port if somebody listens there."""
    try:
        return check_port(PORT)
    except DashboardError:
        return free_port()


def access_notes(log_dir: str, port: int, prefix: str = "", environment: Mapping[str, str] = os.environ) -> Iterator[str]:
    """Yield the ways to a dashboard that listens on the loopback interface only, for a person who sits at another computer.

    Args:
        log_dir: the directory of the runs.
        port: on which it listens.
        prefix: of its paths, with a slash at its beginning.
        environment: variables that tell where this program runs.
    """
    connection = environment.get("SSH_CONNECTION", "").split()
    if len(connection) == len(("client", "client port", "server", "server port")):
        tunnel = f"ssh -N -L {port}:{HOST}:{port} {_user()}@{connection[2]}"
        via = "" if connection[3] == "22" else f" -p {connection[3]}"
        yield f"This is a session of SSH. On your own computer run  {tunnel}{via}  and open http://{HOST}:{port}{prefix}/ there."
    if "VSCODE_IPC_HOOK_CLI" in environment:
        yield f"VS Code forwards port {port}: see its tab Ports."
    hub = environment.get("JUPYTERHUB_SERVICE_PREFIX")
    if hub:
        needed = "" if find_spec("jupyter_server_proxy") else " (pip install jupyter-server-proxy, and start the server again)"
        yield f"Through JupyterHub: {hub}proxy/{port}/ behind the name of the hub{needed}."
    if "COLAB_RELEASE_TAG" in environment:
        quoted = shlex.quote(log_dir)
        yield f"In Colab no port can be reached: run  %load_ext tensorboard  and  %tensorboard --logdir {quoted}  in a cell."
    if hub or {"COLAB_RELEASE_TAG", "JPY_PARENT_PID"} & environment.keys():
        yield f"In a notebook multiboard.show({log_dir!r}) needs neither a port nor TensorBoard."
    if Path(_CONTAINER).exists():
        yield f"In a container {HOST} is the container itself: start it with the network of its host (--network host)."


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container without a name for this user
        return "USER"


def open_browser(address: str) -> bool:
    """Open a page in the browser of this computer; return False if it has none with windows."""
    windows = {"DISPLAY", "WAYLAND_DISPLAY", "BROWSER"} & os.environ.keys()
    if sys.platform.startswith("linux") and not windows:  # a browser of texts would take the terminal
        return False
    import webbrowser

    return webbrowser.open(address)
