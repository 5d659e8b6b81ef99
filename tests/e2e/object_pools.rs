//! The allocator of small objects: contents stay, freed memory is used again for objects of all
//! sizes, and a program that runs out of memory goes on.

use eryx::{Error, Limit, ResourceLimits, SandboxFactory};

use crate::support::{expect_stdout, sandbox, sandbox_with_limits};

#[tokio::test]
async fn objects_of_all_sizes_keep_their_contents() {
    // Objects of each size are made, grown, shrunk and dropped in an order without a pattern.
    let program = "
import random
order = random.Random(1)
kept = {}
for number in range(60_000):
    slot = order.randrange(3_000)
    kind = order.randrange(4)
    if kind == 0:
        kept.pop(slot, None)
    elif kind == 1:
        size = order.choice((order.randrange(40), order.randrange(700)))
        kept[slot] = bytes([slot % 256]) * size
    elif kind == 2:
        kept[slot] = [slot] * order.randrange(150)
    elif isinstance(kept.get(slot), list):
        items = kept[slot]
        if order.randrange(2):
            items.extend([slot] * order.randrange(40))
        else:
            del items[order.randrange(len(items) + 1):]
for slot, value in kept.items():
    assert set(value) <= {slot if isinstance(value, list) else slot % 256}, (slot, value)
print(len(kept))
";
    assert_eq!(
        expect_stdout(sandbox(None).execute(program).await),
        "2034\n"
    );
}

/// Pools become empty in another order than they were made, so that arenas are listed again.
#[tokio::test]
async fn pools_that_become_empty_are_used_again() {
    let program = "
for number in range(200):
    kept = [bytes(number * 15 % 470) for _ in range(6_000)]
    del kept[::2]
    del kept[::-3]
print('none is lost')
";
    let limits = ResourceLimits::default().with_max_memory(72 << 20);
    let result = sandbox_with_limits(None, limits).execute(program).await;
    assert_eq!(expect_stdout(result), "none is lost\n");
}

/// The memory for `count` objects of 100 bytes, which are dropped, is enough for one object of that
/// size.
#[tokio::test]
async fn the_memory_of_small_objects_is_used_for_a_large_one() {
    let program = "
for _ in range(5):
    small = [bytes(100) for _ in range(400_000)]
    del small
    large = bytearray(50_000_000)
    del large
print('both fit')
";
    let limits = ResourceLimits::default().with_max_memory(128 << 20);
    let result = sandbox_with_limits(None, limits).execute(program).await;
    assert_eq!(expect_stdout(result), "both fit\n");
}

#[tokio::test]
async fn a_program_recovers_when_small_objects_use_up_the_memory() {
    let program = "
for size in (8, 60, 200, 480):
    kept = []
    try:
        while True:
            kept.append(bytes(size))
    except MemoryError:
        count = len(kept)
        del kept
    print(count * size > 4_000_000, len([bytes(size) for _ in range(10_000)]))
";
    let limits = ResourceLimits::default().with_max_memory(96 << 20);
    let result = sandbox_with_limits(None, limits).execute(program).await;
    assert_eq!(expect_stdout(result), "True 10000\n".repeat(4));
}

#[tokio::test]
async fn objects_without_end_hit_the_memory_limit() {
    let program = "
class Node:
    def __init__(self, next):
        self.next = next
node = None
while True: node = Node(node)
";
    let limits = ResourceLimits::default().with_max_memory(64 << 20);
    match sandbox_with_limits(None, limits).execute(program).await {
        Err(Error::Limit { limit, .. }) => assert_eq!(limit, Limit::Memory(64 << 20)),
        other => panic!("{other:?}"),
    }
}

/// A sandbox of a factory drops and makes objects in the pools of the snapshot.
#[tokio::test(flavor = "multi_thread")]
async fn sandboxes_of_a_factory_share_its_pools_and_not_each_others_objects() {
    let dir = tempfile::tempdir().expect("created");
    let factory = SandboxFactory::builder()
        .with_setup_code("kept = [bytes([n % 256]) * (n % 600) for n in range(20_000)]")
        .with_cache_dir(dir.path())
        .build()
        .await
        .expect("built");
    let program = "
assert all(set(value) <= {n % 256} for n, value in enumerate(kept))
del kept[::2]
more = [b'x' * (n % 600) for n in range(6_000)]
assert all(set(value) <= {(2 * n + 1) % 256} for n, value in enumerate(kept))
print(len(kept), len(more))
";
    for _ in 0..3 {
        let sandbox = factory.sandbox().build().expect("built");
        assert_eq!(
            expect_stdout(sandbox.execute(program).await),
            "10000 6000\n"
        );
    }
}
