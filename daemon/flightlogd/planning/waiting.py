"""Who waits for whom: dependencies of tasks and of epics as one graph, and its cycles. Pure.

A node is a number: the tasks first, in the order of a plan, then a beginning and an end for each epic. A task
waits for the beginning of its epic, the end of an epic for all its tasks, and the beginning for the ends of
the epics that it depends on. So a thousand tasks that wait for a thousand others are two thousand edges.
"""

from collections import defaultdict
from collections.abc import Container, Mapping, Sequence

Graph = list[list[int]]
"""For each node those that it waits for."""


def waiting_graph(
    hard: Sequence[Sequence[int]], epics: Sequence[str | None], epic_waits: Mapping[str, Sequence[str]]
) -> Graph:
    """Return the graph of some tasks.

    Args:
        hard: For each task those that it waits for itself.
        epics: The epic of each task.
        epic_waits: For each epic those that it waits for; all of them are keys.
    """
    graph: Graph = [list(some) for some in hard]
    beginnings = {}
    for epic in sorted(epic_waits):
        beginnings[epic] = beginning = len(graph)
        graph += [[], [beginning]]
    for epic, others in epic_waits.items():
        graph[beginnings[epic]] = [beginnings[other] + 1 for other in others]
    for task, name in enumerate(epics):
        if name in beginnings:
            graph[task].append(beginnings[name])
            graph[beginnings[name] + 1].append(task)
    return graph


def cycles_of(graph: Graph) -> list[list[int]]:
    """Return all knots of a graph: sets of nodes each of which waits, in the end, for itself. Each is sorted.

    They are the strongly connected components of more than one node, and nodes that wait for themselves
    (Tarjan's algorithm, without recursion: a chain may be as long as there are tasks).
    """
    unseen, done = -1, len(graph)
    index = [unseen] * len(graph)
    lowest = [0] * len(graph)
    open_nodes: list[int] = []
    knots: list[list[int]] = []
    seen = 0
    for root in range(len(graph)):
        if index[root] != unseen:
            continue
        path = [(root, iter(graph[root]))]
        index[root] = lowest[root] = seen
        seen += 1
        open_nodes.append(root)
        while path:
            node, rest = path[-1]
            for other in rest:
                if index[other] == unseen:
                    index[other] = lowest[other] = seen
                    seen += 1
                    open_nodes.append(other)
                    path.append((other, iter(graph[other])))
                    break
                # A finished component is `done`, which is higher than any index.
                lowest[node] = min(lowest[node], index[other])
            else:
                path.pop()
                if path:
                    lowest[path[-1][0]] = min(lowest[path[-1][0]], lowest[node])
                if lowest[node] == index[node]:
                    knot: list[int] = []
                    while not knot or knot[-1] != node:
                        knot.append(open_nodes.pop())
                        index[knot[-1]] = done
                    if len(knot) > 1 or node in graph[node]:
                        knots.append(sorted(knot))
    return sorted(knots)


def hanging_on(graph: Graph, knots: Sequence[Sequence[int]]) -> set[int]:
    """Return the members of some knots and all that waits for them, however far."""
    waiters: dict[int, list[int]] = defaultdict(list)
    for node, others in enumerate(graph):
        for other in others:
            waiters[other].append(node)
    found = {node for knot in knots for node in knot}
    frontier = list(found)
    while frontier:
        for waiter in waiters[frontier.pop()]:
            if waiter not in found:
                found.add(waiter)
                frontier.append(waiter)
    return found


def bottom_up(start: str, waits: Mapping[str, Sequence[str]], done: Container[str]) -> list[str]:
    """Return an epic and all that it waits for, however far, each behind those that it waits for itself.

    Those that are done are left out, and what only they wait for.
    """
    found: list[str] = []
    seen = {start}
    path = [] if start in done else [(start, iter(waits.get(start, ())))]
    while path:
        epic, rest = path[-1]
        for other in rest:
            if other not in seen and other not in done:
                seen.add(other)
                path.append((other, iter(waits.get(other, ()))))
                break
        else:
            path.pop()
            found.append(epic)
    return found
