"""The imports of the package, read from its source, and the rules that they must follow.

A room is a module or a folder of the package, and stands on a floor. A file imports files of its
own room and of lower floors, never of another room on the same floor or above, and no files import
each other in a circle. Imports within functions count, and so does a room that is used through the
package, as in `vlae_tf.zoo.load`.
"""

import ast
import dataclasses
import graphlib

# From the ground up.
FLOORS = (
    ("checks", "seeds", "start_up", "units"),
    ("files", "backend", "serving"),
    ("catalogue", "noise", "pictures", "records"),
    ("datasets", "serving.client"),
    ("layers",),
    ("distributions", "networks"),
    ("posteriors", "priors", "likelihoods", "objectives"),
    ("saved_model",),
    ("models", "serving.server"),
    ("coding", "runs"),
    ("training",),
    ("evaluation",),
    ("zoo", "tuning"),
    ("explorer",),
    ("cli",),
)
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
# The package's own files, and the doors, which load a room when a name of it is first used.
ENTRANCE = "vlae_tf"
DOORS = {
    "vlae_tf.VAE": "vlae_tf.models",
    "vlae_tf.VLAE": "vlae_tf.models",
    "vlae_tf.serving.Client": "vlae_tf.serving.client",
    "vlae_tf.serving.Server": "vlae_tf.serving.server",
}

# Where each library may be imported, and where only within functions.
LIBRARIES = {
    "tensorflow": {"backend", "noise", "datasets", "saved_model", "serving.server"},
    "tensorflow_probability": {"backend"},
}
LATE = {"tensorflow": {"training"}, "keras": {"checks"}}
# Rooms that stand on NumPy, and what they must not load.
NUMPY_ALONE = {
    "catalogue",
    "checks",
    "files",
    "pictures",
    "seeds",
    "serving",
    "serving.client",
    "start_up",
    "units",
    ENTRANCE,
}
HEAVY = {"keras", "tensorflow", "tensorflow_probability", "tensorflow_serving", "tf_keras", "jax"}


@dataclasses.dataclass(frozen=True, order=True)
class Import:
    """One import: the file, the module that it names, and whether it stands within a function."""

    file: str
    module: str
    late: bool


def read_imports(package):
    """All imports of a package's files, as a sorted list of `Import`.

    Args:
        package: `pathlib.Path` of the package's folder.
    """
    modules = {_module(package, path): path for path in package.rglob("*.py")}
    found = set()
    for path in modules.values():
        reader = _Reader(modules)
        reader.visit(ast.parse(path.read_text(encoding="utf-8")))
        file = path.relative_to(package.parent).as_posix()
        found |= {Import(file, module, late) for module, late in reader.found}
    return sorted(found)


def room_of(name):
    """The room of a file or module: the longest one whose name it starts with."""
    parts = name.removesuffix(".py").removesuffix("/__init__").replace("/", ".").split(".")[1:]
    known = (".".join(parts[:length]) for length in (2, 1))
    return next((room for room in known if room in FLOOR), parts[0] if parts else ENTRANCE)


def arrows(package):
    """The imports between rooms, as a set of pairs `(room, room)`; the entrance is left out."""
    pairs = {(room_of(i.file), room_of(i.module)) for i in read_imports(package) if _own(i)}
    return {(a, b) for a, b in pairs if a != b and a in FLOOR and b in FLOOR}


def direct_arrows(package):
    """The arrows that are no shortcut: those to a room that no other way leads to."""
    pairs = arrows(package)
    below = {room: {b for a, b in pairs if a == room} for room in FLOOR}

    def reached(room):
        return below[room].union(*(reached(other) for other in below[room]))

    return {(a, b) for a, b in pairs if not any(b in reached(c) for c in below[a] - {b})}


def violations(package):
    """What is wrong with a package's imports: a sentence for each."""
    imports = read_imports(package)
    found = []
    for item in imports:
        words = _wrong_arrow(item) if _own(item) else _wrong_library(item)
        if words:
            found.append(f"{item.file} imports {item.module}: {words}")
    graph = {}
    for item in filter(_own, imports):
        file = item.module.replace(".", "/")
        folder = (package.parent / file).is_dir()
        graph.setdefault(item.file, set()).add(f"{file}/__init__.py" if folder else f"{file}.py")
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        circle = " <- ".join(error.args[1])
        found.append(f"{circle}: these files import each other in a circle")
    return found


class _Reader(ast.NodeVisitor):
    """Collects `(module, late)` of one file."""

    def __init__(self, modules):
        self.modules = modules
        self.depth = 0
        self.found = set()

    def add(self, module):
        self.found.add((module, self.depth > 0))

    def add_name(self, module, name):
        """`name` out of a package, which may be a module or a door."""
        whole = f"{module}.{name}"
        own = whole in self.modules or whole.removeprefix("vlae_tf.") in FLOOR
        self.add(whole if own else DOORS.get(whole, module))

    def visit_FunctionDef(self, node):
        self.depth += 1
        self.generic_visit(node)
        self.depth -= 1

    visit_AsyncFunctionDef = visit_Lambda = visit_FunctionDef

    def visit_Import(self, node):
        for alias in node.names:
            self.add(alias.name)

    def visit_ImportFrom(self, node):
        if node.level:
            raise ValueError(f"Imports must name the package. Received: {ast.unparse(node)}")
        for alias in node.names:
            if node.module.split(".")[0] == "vlae_tf":
                self.add_name(node.module, alias.name)
            else:
                self.add(node.module)

    def visit_Attribute(self, node):
        if isinstance(node.value, ast.Name) and node.value.id == "vlae_tf":
            self.add_name("vlae_tf", node.attr)
        self.generic_visit(node)


def _module(package, path):
    parts = path.relative_to(package.parent).with_suffix("").parts
    return ".".join(parts).removesuffix(".__init__")


def _own(item):
    return item.module.split(".")[0] == "vlae_tf"


def _wrong_arrow(item):
    source, target = room_of(item.file), room_of(item.module)
    if source == target or ENTRANCE in (source, target) or target == "_version":
        return None
    for room in (source, target):
        if room not in FLOOR:
            return f"the room {room!r} stands on no floor of tests/architecture.py"
    if FLOOR[target] < FLOOR[source]:
        return None
    way = "up" if FLOOR[target] > FLOOR[source] else "sideways"
    return f"this arrow points {way}, from {source} to {target}"


def _wrong_library(item):
    library, room = item.module.split(".")[0], room_of(item.file)
    if item.late and room in LATE.get(library, ()):
        return None
    if room in NUMPY_ALONE and library in HEAVY:
        return f"{room} must load without {library}"
    if room not in LIBRARIES.get(library, {room}):
        return f"{library} is for {', '.join(sorted(LIBRARIES[library]))} alone"
    return None
