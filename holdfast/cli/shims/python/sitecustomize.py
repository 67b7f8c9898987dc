"""Point the official Twilio SDK of this interpreter at HOLDFAST_API, whenever the program imports it.

Python imports `sitecustomize` at its start from the first folder that has one; `holdfast run` puts this folder first
on PYTHONPATH. The program may use an old Python: this code needs only Python 3.7 and the standard library.
The program's own `sitecustomize` is run too.
"""

import importlib.abc
import importlib.machinery
import importlib.util
import os
import re
import sys

API = re.compile(r"https://api(\.[a-z0-9-]+){0,2}\.twilio\.com(?=/|$)")
"""The host of the voice API, with or without the edge and region that the SDK writes into it."""

CLIENT_MODULES = ("twilio.base.client_base", "twilio.rest")
"""The modules of the class with `get_hostname`: since SDK 8, and before."""


def redirect_clients(module, engine):
    """Send requests of the classes in a module for api.twilio.com to the engine."""
    for client in list(vars(module).values()):
        if isinstance(client, type) and "get_hostname" in vars(client):
            client.get_hostname = _to_engine(client.get_hostname, engine)


def _to_engine(get_hostname, engine):
    def to_engine(self, uri):
        # The engine's own URL must not be rewritten for an edge or a region either.
        return uri if uri.startswith(engine) else API.sub(lambda _: engine, get_hostname(self, uri))

    return to_engine


class Redirecting(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """An importer that finds the SDK's client modules as usual, and changes them once they have run."""

    def __init__(self, engine):
        self.engine = engine
        self.real = {}

    def find_spec(self, name, path=None, target=None):
        if name not in CLIENT_MODULES or name in self.real:
            return None
        self.real[name] = None  # so that the search below does not come back here
        try:
            spec = importlib.util.find_spec(name)
        finally:
            del self.real[name]
        if spec is None or spec.loader is None:
            return None
        self.real[name] = spec.loader
        spec.loader = self
        return spec

    def create_module(self, spec):
        return self.real[spec.name].create_module(spec)

    def exec_module(self, module):
        loader = self.real.pop(module.__name__)
        module.__spec__.loader = module.__loader__ = loader
        loader.exec_module(module)
        redirect_clients(module, self.engine)


def run_the_other_one():
    """Run the program's own `sitecustomize`, which this one hides, if there is one."""
    here = os.path.dirname(os.path.abspath(__file__))
    others = [place for place in sys.path if os.path.abspath(place or ".") != here]
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", others)
    if spec is not None and spec.loader is not None:
        spec.loader.exec_module(importlib.util.module_from_spec(spec))


if os.environ.get("HOLDFAST_API"):
    sys.meta_path.insert(0, Redirecting(os.environ["HOLDFAST_API"].rstrip("/")))
run_the_other_one()
