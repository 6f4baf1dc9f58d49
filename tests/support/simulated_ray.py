"""A Ray cluster that does what it is told to, when it is told to: no process, no thread, no time.

Programs that use it run as greenlets, which let others go on wherever they ask Ray, wait, or take a
lock. So whoever runs them decides in which order everything happens, and may end them anywhere.
"""

import contextlib
import itertools
from concurrent.futures import Future
from types import ModuleType, SimpleNamespace

from attrs import define, field
from greenlet import getcurrent, greenlet


class Killed(BaseException):
    """The program ends here, with kill -9."""


class World:
    """What programs share: a clock, and who of them goes on when."""

    def __init__(self):
        self.now = 1000.0
        self._threads = {}

    def program(self):
        """Begin a program, which has no thread yet."""
        return Program(self)

    def runnable(self):
        """The threads that can go on, in the order in which they began."""
        return [thread for thread in list(self._threads.values()) if thread.ready()]

    def step(self, thread):
        """Let a thread go on until it asks Ray for something or waits."""
        thread.greenlet.switch()
        if thread.greenlet.dead:
            self._threads.pop(thread.greenlet, None)

    def wait(self, ready=lambda: True):
        """Let others go on until something holds."""
        if getcurrent() not in self._threads:
            raise Killed  # its clean-up does not happen either
        self.thread().ready = ready
        getcurrent().parent.switch()

    def thread(self):
        """The thread that runs now."""
        return self._threads[getcurrent()]

    def later(self, seconds, function, *arguments):
        """Call a function after some time, in a thread of its own."""
        due = self.now + seconds
        self.thread().program.start(function, *arguments, ready=lambda: self.now >= due)

    def begin(self, thread):
        """Take up a thread."""
        self._threads[thread.greenlet] = thread

    def kill(self, program):
        """End all threads of a program."""
        for thread in [t for t in self._threads.values() if t.program is program]:
            del self._threads[thread.greenlet]
            if thread.greenlet:
                thread.greenlet.throw(Killed)

    def threading(self):
        """Stand for the module of that name."""
        return SimpleNamespace(
            Thread=lambda **named: _StandardThread(self, **named),
            Lock=lambda: _Lock(self),
            RLock=lambda: _Lock(self),
            Condition=lambda: _Lock(self),
        )


@define(eq=False)
class _Thread:
    program: "Program"
    greenlet: greenlet
    ready: object


class Program:
    """Threads that end together."""

    def __init__(self, world):
        self._world = world

    def start(self, function, *arguments, ready=lambda: True):
        """Start a thread."""

        def run():
            with contextlib.suppress(Killed):
                function(*arguments)

        # Its parent is whoever runs all of them, not the thread that starts it.
        main = getcurrent()
        while main.parent is not None:
            main = main.parent
        thread = _Thread(self, greenlet(run, main), ready)
        self._world.begin(thread)
        return thread

    def kill(self):
        """End it."""
        self._world.kill(self)


class _StandardThread:
    def __init__(self, world, *, target, args=(), daemon=True, name=""):
        del daemon, name
        self._world, self._target, self._args = world, target, args
        self._thread = None

    def start(self):
        self._thread = self._world.thread().program.start(self._target, *self._args)

    def is_alive(self):
        return self._thread is not None and not self._thread.greenlet.dead

    def join(self, timeout):
        due = self._world.now + timeout
        self._world.wait(lambda: not self.is_alive() or self._world.now >= due)


class _Lock:
    """A lock, which its holder may take again."""

    def __init__(self, world):
        self._world, self._holder, self._depth = world, None, 0

    def __enter__(self):
        me = getcurrent()
        while self._holder not in {None, me}:
            self._world.wait(lambda: self._holder is None)
        self._holder, self._depth = me, self._depth + 1

    def __exit__(self, *_):
        self._depth -= 1
        if not self._depth:
            self._holder = None

    def wait_for(self, holds):
        """Wait as a condition does."""
        while not holds():
            depth, self._depth, self._holder = self._depth, 0, None
            self._world.wait(holds)
            self.__enter__()
            self._depth = depth

    def notify_all(self):
        """Whoever waits looks each time."""


class Line:
    """Messages, first in, first out."""

    def __init__(self, world):
        self._world, self.messages = world, []

    def put(self, message):
        """Add one."""
        self.messages.append(message)

    def get(self):
        """Wait for the next."""
        self._world.wait(lambda: bool(self.messages))
        return self.messages.pop(0)


class Answers:
    """Stands for the class of that name: its thread is one of the driver's."""

    def __init__(self, world):
        self._world, self._line = world, Line(world)

    def start(self):
        """Begin."""
        self._world.thread().program.start(self._hand_out)

    def ask(self, reference, told):
        """Have an answer handed to a function."""
        reference.answer.add_done_callback(lambda answer: self._line.put((told, answer)))

    def _hand_out(self):
        while True:
            told, answer = self._line.get()
            told(answer)


# Ray.


@define(eq=False)
class Machine:
    """A machine."""

    machine_id: str
    room: int


@define(eq=False)
class Group:
    """A placement group: the machine of each bundle, None where it has none."""

    name: str
    strategy: str
    bundles: list
    avoided: frozenset
    is_removed: bool = False


@define(eq=False)
class Actor:
    """An actor: it waits for its bundle, is alive on that's machine, or dead."""

    name: str
    cluster: str
    group: Group
    bundle: int
    state: str = "pending"
    machine: object = None

    def facts(self):
        """What it says of itself."""
        return (self.machine.machine_id, self.group.name, self.bundle)


@define(eq=False)
class Call:
    """A call of an actor: answered when the actor has done it, told when the test says so."""

    actor: Actor
    method: str
    answer: Future = field(factory=Future)
    result: object = None

    @property
    def can_be_done(self):
        """Whether the actor can do it now, or never will."""
        return self.result is None and (
            self.actor.state == "dead"
            or (self.actor.state == "alive" and self.method in {"facts", "end"})
        )


class Ray:
    """A cluster of Ray.

    Args:
        world: The programs that use it.
        tell_facts: Makes a node's facts.
        ended: Called with an actor, alive or to be, that a program ends.
    """

    def __init__(self, world, *, tell_facts, ended):
        self._world = world
        self._tell_facts = tell_facts
        self._ended = ended
        self._numbers = itertools.count(1)
        self.machines, self.groups, self.actors, self.calls = [], [], [], []

    # What happens to it.

    def add_machine(self, room):
        """Let a machine join."""
        self.machines.append(Machine(f"machine-{next(self._numbers)}", room))

    def lose_machine(self, machine):
        """Let a machine fail: its actors are dead, its bundles wait for another."""
        self.machines.remove(machine)
        for actor in self.living():
            if actor.machine is machine:
                actor.state = "dead"
        for group in self.groups:
            group.bundles = [None if at is machine else at for at in group.bundles]

    def lose_actor(self, actor):
        """Let an actor's process end."""
        actor.state = "dead"

    def living(self):
        """The actors that are not dead."""
        return [actor for actor in self.actors if actor.state != "dead"]

    def alive(self):
        """The actors that are there."""
        return [actor for actor in self.actors if actor.state == "alive"]

    def present(self):
        """The groups that are not removed."""
        return [group for group in self.groups if not group.is_removed]

    def schedule(self, choice=0):
        """Place what waits; say whether anything did."""
        changed = False
        for group in self.present():
            changed |= self._place(group, choice)
        for actor in self.actors:
            machine = actor.group.bundles[actor.bundle]
            if actor.state == "pending" and machine is not None:
                actor.state, actor.machine = "alive", machine
                changed = True
        return changed

    def _place(self, group, choice):
        missing = [i for i, machine in enumerate(group.bundles) if machine is None]
        found = list(group.bundles)
        for index in missing:
            fit = [
                machine
                for machine in self.machines
                if machine.machine_id not in group.avoided
                and self._used(machine) + (found.count(machine) - group.bundles.count(machine))
                < machine.room
                and not (group.strategy == "STRICT_SPREAD" and machine in found)
            ]
            if not fit:
                return False
            found[index] = fit[choice % len(fit)]
        group.bundles = found
        return bool(missing)

    def _used(self, machine):
        return sum(group.bundles.count(machine) for group in self.present())

    def do(self, call):
        """Let an actor do what it was asked."""
        if call.actor.state == "dead":
            call.result = RuntimeError("The actor is dead because it is")
        else:
            call.result = self._tell_facts(call.actor) if call.method == "facts" else "ended"

    def tell(self, call):
        """Bring an answer to who asked."""
        self.calls.remove(call)
        if isinstance(call.result, Exception):
            call.answer.set_exception(call.result)
        else:
            call.answer.set_result(call.result)

    # What programs ask of it.

    def modules(self):
        """Stand for Ray's modules, by name."""
        util = _module(
            "ray.util",
            list_named_actors=self._names,
            get_placement_group=self._get_group,
            remove_placement_group=self._remove_group,
            placement_group_table=self._table,
        )
        return {
            "ray": _module(
                "ray",
                util=util,
                get_actor=self._get_actor,
                kill=self._kill,
                get=self._get,
                nodes=list,
                available_resources=dict,
            ),
            "ray.util": util,
            "ray.util.placement_group": _module(
                "ray.util.placement_group",
                placement_group=self._make_group,
                placement_group_table=self._table,
                remove_placement_group=self._remove_group,
            ),
            "ray.util.scheduling_strategies": _module(
                "ray.util.scheduling_strategies",
                PlacementGroupSchedulingStrategy=lambda group, placement_group_bundle_index: (
                    group,
                    placement_group_bundle_index,
                ),
            ),
        }

    def actor_class(self):
        """Stand for the class of nodes."""
        return SimpleNamespace(
            options=lambda **options: SimpleNamespace(remote=lambda *_: self._make_actor(**options))
        )

    def _names(self):
        self._world.wait()
        return [actor.name for actor in self.living()]

    def _get_actor(self, name):
        self._world.wait()
        for actor in self.living():
            if actor.name == name:
                return _Handle(self, actor)
        raise ValueError(name)

    def _kill(self, handle):
        self._world.wait()
        self._end(handle.actor)

    def _get(self, call, timeout):
        due = self._world.now + timeout
        self._world.wait(lambda: call.answer.done() or self._world.now >= due)
        if not call.answer.done():
            raise TimeoutError
        return call.answer.result()

    def _end(self, actor):
        if actor.state != "dead":
            self._ended(actor)
            actor.state = "dead"

    def _make_actor(self, name, scheduling_strategy, **_):
        self._world.wait()
        if any(actor.name == name for actor in self.living()):
            raise ValueError(f"the name {name} is taken")
        handle, bundle = scheduling_strategy
        actor = Actor(name, name.partition("-")[0], handle.group, bundle)
        if handle.group.is_removed:
            actor.state = "dead"
        self.actors.append(actor)
        return _Handle(self, actor)

    def call(self, actor, method):
        """Take in a call."""
        call = Call(actor, method)
        self.calls.append(call)
        return call

    def _make_group(self, bundles, strategy, name, lifetime, bundle_label_selector=None):
        assert lifetime == "detached"
        self._world.wait()
        avoided = frozenset()
        if bundle_label_selector:
            (said,) = {selector["ray.io/node-id"] for selector in bundle_label_selector}
            avoided = frozenset(said.removeprefix("!in(").removesuffix(")").split(","))
        group = Group(name, strategy, [None] * len(bundles), avoided)
        self.groups.append(group)
        return _GroupHandle(self._world, group)

    def _get_group(self, name):
        self._world.wait()
        for group in self.present():
            if group.name == name:
                return _GroupHandle(self._world, group)
        raise ValueError(name)

    def _remove_group(self, handle):
        self._world.wait()
        handle.group.is_removed = True
        for actor in self.living():
            if actor.group is handle.group:
                self._end(actor)

    def _table(self, handle=None):
        self._world.wait()
        if handle is not None:
            return _row(handle.group)
        return {str(number): _row(group) for number, group in enumerate(self.groups)}


def _row(group):
    return {
        "name": group.name,
        "state": "REMOVED" if group.is_removed else "CREATED" if all(group.bundles) else "PENDING",
        "bundles_to_node_id": {
            index: machine.machine_id if machine else ""
            for index, machine in enumerate(group.bundles)
        },
    }


class _GroupHandle:
    def __init__(self, world, group):
        self._world, self.group = world, group

    def wait(self, seconds):
        due = self._world.now + seconds
        self._world.wait(lambda: self._is_ready() or self._world.now >= due)
        return self._is_ready()

    def _is_ready(self):
        return not self.group.is_removed and all(self.group.bundles)


class _Handle:
    def __init__(self, ray, actor):
        self._ray, self.actor = ray, actor

    def __getattr__(self, method):
        return SimpleNamespace(remote=lambda *_: self._ray.call(self.actor, method))


def _module(name, **content):
    module = ModuleType(name)
    vars(module).update(content)
    return module
