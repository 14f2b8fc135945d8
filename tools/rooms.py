"""How many relations there are between the rooms of the house: python tools/rooms.py [FOLDER]

A room is a name directly below `dkl_ae` or `nionswift_plugin`, and `dkl_ae` itself; two rooms are related when a module
of one imports a module of the other, also inside functions and for type checking. FOLDER is another checkout.
"""

from __future__ import annotations

import pathlib
import sys

import grimp


def main() -> None:
    folder = pathlib.Path(sys.argv[1] if sys.argv[1:] else ".").resolve()
    sys.path.insert(0, str(folder))
    plug_ins = sorted(found.parent.name for found in folder.glob("nionswift_plugin/*/__init__.py"))
    graph = grimp.build_graph("dkl_ae", *(f"nionswift_plugin.{name}" for name in plug_ins), cache_dir=None)
    imports = {
        (_room(module), _room(imported))
        for module in graph.modules
        for imported in graph.find_modules_directly_imported_by(module)
    }
    relations = {(room, imported) for room, imported in imports if room != imported}
    print(f"{len({_room(module) for module in graph.modules})} rooms, {len(relations)} relations")


def _room(module: str) -> str:
    return ".".join(module.split(".")[:2])


if __name__ == "__main__":
    main()
