"""The Compare tab of TensorBoard: the files of its page, and what the page shows, as bytes.

    /data/plugin/multiboard/static/index.js             the page (`multiboard.page.bundle`), and static/style.css
    /data/plugin/multiboard/part/<name>?runs=[…]&…      a part (`multiboard.page.parts`), packed (`multiboard.page.pack`)

It only reads: nothing is written, and nothing but these addresses is answered.
"""

from __future__ import annotations

import gzip
import json
import logging
from collections import OrderedDict
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

from tensorboard import plugin_util
from tensorboard.backend import http_util
from tensorboard.context import RequestContext
from tensorboard.errors import PublicError
from tensorboard.plugins import base_plugin
from werkzeug import wrappers

from multiboard import ArgumentError, MultiboardError
from multiboard.page.bundle import module, style
from multiboard.page.pack import pack
from multiboard_tensorboard.experiments import Experiment
from multiboard_tensorboard.files import any_of_multiboard
from multiboard_tensorboard.hparams import is_of_multiboard
from multiboard_tensorboard.listing import HPARAMS, Provided
from multiboard_tensorboard.sampling import Samples

if TYPE_CHECKING:
    from collections.abc import Callable

NAME: Final = "multiboard"
_PACKED: Final = "application/octet-stream"
_TEXT: Final = "text/plain"
_WORTH_ZIPPING: Final = 1000
_EXPERIMENTS: Final = 4
_READING: Final = ("GET", "HEAD")
_LOG: Final = logging.getLogger("tensorboard")


class Plugin(base_plugin.TBPlugin):  # type: ignore[misc]  # tensorboard has no annotations
    """What TensorBoard asks of the tab.

    Args:
        context: tensorboard.plugins.base_plugin.TBContext.
    """

    plugin_name = NAME

    def __init__(self, context: Any) -> None:
        self._context = context
        self._experiments: OrderedDict[str, Experiment] = OrderedDict()
        self._lock = Lock()
        self._said: set[str] = set()

    def get_plugin_apps(self) -> dict[str, Callable[..., Any]]:
        """Return what answers at which address; no file can be asked for."""
        return {
            "/static/index.js": _page_app(module, "text/javascript"),
            "/static/style.css": _page_app(style, "text/css"),
            "/part/*": wrappers.Request.application(self._part),
        }

    def is_active(self) -> bool:
        """Tell whether a run of multiboard is there that has no data of this plugin.

        The run facts say who wrote it; a run without hyper-parameters has them at its end, and until then the names of its files
        tell.
        """
        provided = self._provided(RequestContext(), "")
        listed = provided.list_tags(HPARAMS)
        if any(is_of_multiboard(one.plugin_content) for found in listed.values() for one in found.values()):
            return True
        return bool(self._context.logdir) and any_of_multiboard(Path(self._context.logdir), provided.runs())

    def frontend_metadata(self) -> base_plugin.FrontendMetadata:
        """Return how the tab is called, and the module whose `render` fills it."""
        return base_plugin.FrontendMetadata(es_module_path="/static/index.js", tab_name="Compare", disable_reload=True)

    def data_plugin_names(self) -> tuple[str, ...]:
        """Return the plugins whose data make the tab appear."""
        return (NAME,)

    def _part(self, request: wrappers.Request) -> wrappers.Response:
        """Answer with a part; with a sentence and 400 if there is none, and with 500 if something is wrong here."""
        if request.method not in _READING:
            return _refused(request)
        name = request.path.rpartition("/")[2]
        try:
            data = pack(self._made(name, request))
        except PublicError:
            raise  # TensorBoard answers with its code
        except (ArgumentError, UnicodeError) as error:
            return _respond(request, _printable(error), _TEXT, 400)
        except MultiboardError as error:
            return _respond(request, _printable(error), _TEXT, 422)
        except Exception as error:  # noqa: BLE001  # the page shows a sentence, and the other tabs go on
            self._say(name, error)
            return _respond(request, f"{name} could not be made; TensorBoard's output says why.", _TEXT, 500)
        zipped = len(data) >= _WORTH_ZIPPING
        content = gzip.compress(data, 1, mtime=0) if zipped else data
        return _respond(request, content, _PACKED, content_encoding="gzip" if zipped else None)

    def _made(self, name: str, request: wrappers.Request) -> dict[str, Any]:
        query = dict(request.args.items())
        runs = _names(query.pop("runs", "[]"))
        experiment = plugin_util.experiment_id(request.environ)
        provided = self._provided(plugin_util.context(request.environ), experiment)
        return self._experiment(experiment).part(name, query, runs, provided)

    def _experiment(self, name: str) -> Experiment:
        with self._lock:
            found = self._experiments.pop(name, None) or self._new_experiment()
            self._experiments[name] = found
            while len(self._experiments) > _EXPERIMENTS:
                self._experiments.popitem(last=False)
            return found

    def _new_experiment(self) -> Experiment:
        samples = Samples(self._context.sampling_hints or {}, fast=self._context.multiplexer is None)
        return Experiment(self._context.logdir or "", samples)

    def _provided(self, context: RequestContext, experiment: str) -> Provided:
        return Provided(self._context.data_provider, experiment, context, self._context.multiplexer)

    def _say(self, name: str, error: Exception) -> None:
        """Write what went wrong to TensorBoard's output, once."""
        key = f"{name} {type(error).__name__} {error}"
        if key not in self._said and len(self._said) < _SAID:
            self._said.add(key)
            _LOG.error("Compare tab: %s could not be made", name, exc_info=error)


_SAID: Final = 100
"""Different errors that are written out; a page that is reloaded for days must not fill the memory."""


def _names(text: str) -> list[str]:
    """Return the names of runs that a query has as a JSON list."""
    try:
        names = json.loads(text)
    except (ValueError, RecursionError):
        names = None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ArgumentError("runs", text, "pass the names of the runs as a JSON list, the baseline first")
    return names


def _page_app(content: Callable[[], str], kind: str) -> Callable[..., Any]:
    def answer(request: wrappers.Request) -> wrappers.Response:
        return _respond(request, content(), kind) if request.method in _READING else _refused(request)

    return wrappers.Request.application(answer)


def _refused(request: wrappers.Request) -> wrappers.Response:
    return _respond(request, "Only GET.", _TEXT, 405, headers=[("Allow", "GET, HEAD")])


def _printable(error: Exception) -> bytes:
    """Return a message as UTF-8, also if it repeats text that is none."""
    return str(error).encode(errors="backslashreplace")


def _respond(request: wrappers.Request, content: bytes | str, kind: str, code: int = 200, **options: Any) -> wrappers.Response:
    answer: wrappers.Response = http_util.Respond(request, content, kind, code, **options)
    return answer
