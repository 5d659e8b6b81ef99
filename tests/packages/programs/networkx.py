import bz2
import gzip
import io

import networkx as nx

# Zachary's karate club: 34 members, 78 friendships.
club = nx.karate_club_graph()
assert (len(club), club.number_of_edges()) == (34, 78)
assert nx.diameter(club) == 5
assert sum(nx.triangles(club).values()) // 3 == 45
central = nx.betweenness_centrality(club)
assert max(central, key=central.get) == 0
assert abs(central[0] - 0.4376) < 1e-4
communities = nx.community.greedy_modularity_communities(club)
assert sorted(map(len, communities)) == [8, 9, 17]

roads = nx.Graph()
roads.add_weighted_edges_from(
    [("A", "B", 4), ("A", "C", 2), ("C", "B", 1), ("B", "D", 5), ("C", "D", 8), ("D", "E", 3)]
)
assert nx.shortest_path(roads, "A", "E", weight="weight") == ["A", "C", "B", "D", "E"]
assert nx.dijkstra_path_length(roads, "A", "E") == 11
assert sum(d["weight"] for *_, d in nx.minimum_spanning_edges(roads)) == 11

pipes = nx.DiGraph()
pipes.add_edge("s", "a", capacity=10)
pipes.add_edge("s", "b", capacity=5)
pipes.add_edge("a", "b", capacity=15)
pipes.add_edge("a", "t", capacity=5)
pipes.add_edge("b", "t", capacity=10)
assert nx.maximum_flow_value(pipes, "s", "t") == 15
tasks = nx.DiGraph([("shop", "cook"), ("cook", "eat"), ("shop", "eat")])
assert list(nx.topological_sort(tasks)) == ["shop", "cook", "eat"]
assert list(nx.simple_cycles(nx.DiGraph([(1, 2), (2, 3), (3, 1)])))[0] in (
    [1, 2, 3],
    [2, 3, 1],
    [3, 1, 2],
)

# Its formats, also compressed.
for name, module in (("/tmp/club.gml.bz2", bz2), ("/tmp/club.gml.gz", gzip)):
    nx.write_gml(club, name)
    assert module.open(name).read().startswith(b"graph [")
    assert nx.is_isomorphic(nx.read_gml(name, destringizer=int), club)
stream = io.BytesIO()
nx.write_graphml(roads, stream)
stream.seek(0)
assert nx.read_graphml(stream).edges["A", "B"]["weight"] == 4

# A seed of its own.
assert nx.gnp_random_graph(50, 0.1, seed=1).edges == nx.gnp_random_graph(50, 0.1, seed=1).edges
