"""The scenes of all venues, found by directory."""

import importlib
import pkgutil

from tests.paper.scene import Scene


def find_scenes() -> dict[str, Scene]:
    names = sorted(found.name for found in pkgutil.iter_modules(__path__))
    scenes: list[Scene] = [importlib.import_module(f"{__name__}.{name}").SCENE for name in names]
    return {scene.venue: scene for scene in scenes}
