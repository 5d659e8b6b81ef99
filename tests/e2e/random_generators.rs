//! Random number generators created by the set-up code of a factory.

use eryx::SandboxFactory;

use crate::support::expect_stdout;

#[tokio::test(flavor = "multi_thread")]
async fn unseeded_generators_of_set_up_code_differ_between_sandboxes() {
    let cache = tempfile::tempdir().expect("created");
    let factory = SandboxFactory::builder()
        .with_cache_dir(cache.path())
        .with_setup_code(
            "
import copy, random, tempfile, uuid
class Sampler:
    def __init__(self): self.rng = random.Random()
class Odd(random.Random):
    __slots__ = ()
    __hash__ = None
    def __eq__(self, other): raise RuntimeError('asked')
    def __setattr__(self, name, value):
        if mine_is_over: raise RuntimeError('asked')
        super().__setattr__(name, value)
    def seed(self, *args): return super().seed(*args)
mine_is_over = False
plain = random.Random()
none = random.Random(None)
inside = Sampler()
again = random.Random(5); again.seed()
put_back = random.Random(); put_back.setstate(put_back.getstate())
copied = copy.deepcopy(plain)
odd = Odd()
odd.gauss(0, 1)
mine_is_over = True
many = [random.Random() for _ in range(3000)]
tempfile._get_candidate_names()
node = uuid.getnode()
# As a program does that needs a reproducible sequence, without setting `seed` itself.
state = random.getstate()
random.seed(1)
random.random()
random.setstate(state)

given = random.Random(42)
later = random.Random(); later.seed('text')
taken_over = random.Random(); taken_over.setstate(random.Random(3).getstate())
",
        )
        .build()
        .await
        .expect("built");
    let program = "
for generator in (random, plain, none, inside.rng, again, put_back, copied, odd, many[0], many[-1]):
    print(generator.random())
print(next(tempfile._get_candidate_names()))
print(uuid.getnode())
print(repr([generator.random() for generator in (given, later, taken_over)]))
print(random.Random.seed.__module__, random.seed.__module__, random.Random.seed.__qualname__)
";
    let sandbox = factory.sandbox().build().expect("built");
    let first = expect_stdout(sandbox.execute(program).await);
    let second = expect_stdout(sandbox.execute(program).await);
    let (first, second): (Vec<_>, Vec<_>) = (first.lines().collect(), second.lines().collect());
    let differ = first.len() - 2;
    for (line, (one, other)) in first.iter().zip(&second).enumerate() {
        assert_eq!(
            one != other,
            line < differ,
            "line {line}: {one} and {other}"
        );
    }
    let distinct: std::collections::HashSet<_> = first[..differ].iter().collect();
    assert_eq!(distinct.len(), differ);
    assert_eq!(first[differ + 1], "random random Random.seed");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_module_generator_keeps_the_seed_of_set_up_code() {
    let cache = tempfile::tempdir().expect("created");
    let factory = SandboxFactory::builder()
        .with_cache_dir(cache.path())
        .with_setup_code("import random\nrandom.seed(42)")
        .build()
        .await
        .expect("built");
    let sandbox = factory.sandbox().build().expect("built");
    let program = "print(random.random())";
    let first = expect_stdout(sandbox.execute(program).await);
    // The value of `random.Random(42).random()` in every CPython.
    assert_eq!(first, "0.6394267984578837\n");
    assert_eq!(expect_stdout(sandbox.execute(program).await), first);
}

/// A copy of a session has the state of its generators, too.
#[tokio::test]
async fn unseeded_generators_of_a_session_differ_in_its_forks_and_restored_copies() {
    let sandbox = crate::support::sandbox(None);
    let mut session = sandbox.session().await.expect("started");
    let program = "
import pickle, random, tempfile, uuid
class Sampler(random.Random):
    def __hash__(self): raise RuntimeError('asked')
kept = [random.Random(), Sampler(), {'inside': random.Random(None)}]
closure = (lambda generator: lambda: generator.random())(random.Random())
copied = pickle.loads(pickle.dumps(kept[0]))
again = random.Random(5); again.seed()
tempfile._get_candidate_names()
given = random.Random(42)
random.random()
";
    expect_stdout(session.execute(program).await);
    let program = "
for generator in (random, kept[0], kept[1], kept[2]['inside'], copied, again):
    print(generator.random())
print(closure())
print(next(tempfile._get_candidate_names()), uuid.uuid1())
print(given.random())
";
    let bytes = session.snapshot().await.expect("taken");
    let mut copies = vec![
        session.fork().await.expect("forked"),
        session.fork().await.expect("forked"),
        sandbox.restore(&bytes).await.expect("restored"),
    ];
    copies.push(session);
    let mut printed = Vec::new();
    for copy in &mut copies {
        printed.push(expect_stdout(copy.execute(program).await));
    }
    let lines: Vec<Vec<&str>> = printed.iter().map(|text| text.lines().collect()).collect();
    for line in 0..lines[0].len() {
        let values: std::collections::HashSet<_> = lines.iter().map(|copy| copy[line]).collect();
        let explicit = line == lines[0].len() - 1;
        assert_eq!(
            values.len(),
            if explicit { 1 } else { copies.len() },
            "line {line}: {values:?}"
        );
    }
}

/// The generator of uuid-utils is in machine code. Here, a module of its name counts the calls.
#[tokio::test(flavor = "multi_thread")]
async fn the_generator_of_uuid_utils_is_seeded_in_every_sandbox_and_copy() {
    let dir = tempfile::tempdir().expect("created");
    let package = dir.path().join("uuid_utils");
    std::fs::create_dir(&package).expect("created");
    for (name, source) in [
        ("__init__.py", "from ._uuid_utils import left\n"),
        ("_uuid_utils.py", "left = [1, 2, 3, 4]\nreseed = left.pop\n"),
    ] {
        std::fs::write(package.join(name), source).expect("written");
    }
    let factory = SandboxFactory::builder()
        .with_package(&package)
        .with_import("uuid_utils")
        .with_cache_dir(dir.path().join("cache"))
        .build()
        .await
        .expect("built");
    let program = "import uuid_utils\nprint(uuid_utils.left)";
    for _ in 0..2 {
        let sandbox = factory.sandbox().build().expect("built");
        assert_eq!(expect_stdout(sandbox.execute(program).await), "[1, 2, 3]\n");
    }
    let sandbox = factory.sandbox().build().expect("built");
    let mut session = sandbox.session().await.expect("started");
    for _ in 0..2 {
        assert_eq!(expect_stdout(session.execute(program).await), "[1, 2, 3]\n");
    }
    let mut fork = session.fork().await.expect("forked");
    assert_eq!(expect_stdout(fork.execute(program).await), "[1, 2]\n");
}

/// The generators of numpy are in machine code. Here, modules of their names draw seeds as they do.
#[tokio::test(flavor = "multi_thread")]
async fn generators_of_numpy_without_a_seed_are_seeded_in_every_sandbox_and_copy() {
    let dir = tempfile::tempdir().expect("created");
    let package = dir.path().join("numpy");
    std::fs::create_dir_all(package.join("random")).expect("created");
    for (name, source) in [
        ("__init__.py", "from . import random\n"),
        (
            "random/__init__.py",
            "from .mtrand import _rand\nfrom ._pcg64 import PCG64\n",
        ),
        (
            "random/bit_generator.py",
            "
from secrets import randbits
class SeedSequence:
    def __init__(self, entropy=None):
        self.entropy = randbits(128) if entropy is None else entropy
class BitGenerator:
    def __init__(self, seed=None):
        self.seed_seq = SeedSequence(seed)
        self.state = self.seed_seq.entropy
    def __setstate__(self, state):
        self.state, self.seed_seq = state
",
        ),
        (
            "random/_pcg64.py",
            "from .bit_generator import BitGenerator\nclass PCG64(BitGenerator): pass\n",
        ),
        (
            "random/_mt19937.py",
            "from .bit_generator import BitGenerator\nclass MT19937(BitGenerator): pass\n",
        ),
        (
            "random/mtrand.py",
            "
from ._mt19937 import MT19937
class RandomState:
    def __init__(self):
        self._bit_generator = MT19937()
        self.content = {'has_gauss': 1, 'gauss': 0.5}
    def get_state(self, legacy): return self.content
    def set_state(self, content): self.content = content
_rand = RandomState()
",
        ),
    ] {
        std::fs::write(package.join(name), source).expect("written");
    }
    let factory = SandboxFactory::builder()
        .with_package(&package)
        .with_setup_code(
            "
import secrets
from numpy.random import PCG64, _rand
held = [PCG64()]
# More seeds than are remembered.
for _ in range(10_000): PCG64()
given = [PCG64(7), PCG64(secrets.randbits(127)), PCG64()]
given[2].seed_seq = None
",
        )
        .with_cache_dir(dir.path().join("cache"))
        .build()
        .await
        .expect("built");
    let program = "
for generator in (_rand._bit_generator, held[0]):
    print(generator.state, generator.seed_seq.entropy)
print(_rand.content, [each.state for each in given])
";
    let mut printed = Vec::new();
    for _ in 0..2 {
        let sandbox = factory.sandbox().build().expect("built");
        printed.push(expect_stdout(sandbox.execute(program).await));
    }
    let sandbox = factory.sandbox().build().expect("built");
    let mut session = sandbox.session().await.expect("started");
    printed.push(expect_stdout(session.execute(program).await));
    let mut fork = session.fork().await.expect("forked");
    printed.push(expect_stdout(fork.execute(program).await));
    let lines: Vec<Vec<&str>> = printed.iter().map(|text| text.lines().collect()).collect();
    for (line, expected) in [lines.len(), lines.len(), 1].into_iter().enumerate() {
        let values: std::collections::HashSet<_> = lines.iter().map(|each| each[line]).collect();
        assert_eq!(values.len(), expected, "{values:?}");
    }
    assert!(
        lines[0][2].contains("{'has_gauss': 0, 'gauss': 0.0}"),
        "{:?}",
        lines[0]
    );
}
