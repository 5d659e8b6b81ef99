//! `bz2`, `lzma` and `compression.zstd`: what a sandbox compresses, the host decompresses, and the
//! other way round; and what hostile streams cost.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use eryx::ResourceLimits;
use serde_json::json;

use crate::support::{
    expect_exception, expect_stdout, expect_time_limit, program, sandbox, sandbox_with_limits,
    timeout_of, workspace_root,
};

/// Runs CPython on the host, and returns what it prints.
fn host_python(task: &str, input: &str) -> String {
    let script = workspace_root().join("tests/e2e/programs/compression_host.py");
    let mut python = Command::new("python3")
        .arg(script)
        .arg(task)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the machine has Python");
    let mut stdin = python.stdin.take().expect("piped");
    stdin.write_all(input.as_bytes()).expect("written");
    drop(stdin);
    let output = python.wait_with_output().expect("ends");
    assert!(output.status.success());
    String::from_utf8(output.stdout).expect("text")
}

#[tokio::test]
async fn streams_of_the_host_and_of_a_sandbox_are_interchangeable() {
    let vectors = host_python("make", "");
    let text = program(
        &json!({ "VECTORS": vectors }),
        include_str!("programs/compression.py"),
    );
    let limits = ResourceLimits::default().with_max_memory(512 << 20);
    let streams = expect_stdout(sandbox_with_limits(None, limits).execute(text).await);
    let checked: usize = host_python("check", &streams)
        .trim()
        .parse()
        .expect("a number");
    assert!(checked >= 20, "{checked}");
}

/// A program that makes `bomb`, a stream of a gigabyte of zeros, from a stream of a mebibyte.
const BOMBS: &str = r#"
import bz2, lzma
from compression import zstd
zeros = bytes(1 << 20)
def bomb_of(compressor):
    return b"".join([compressor.compress(zeros) for _ in range(1024)]) + compressor.flush()
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_decompression_bomb_is_a_memory_error_in_the_program() {
    let limits = ResourceLimits::default().with_max_memory(96 << 20);
    let text = format!(
        "{BOMBS}
bomb = bomb_of(zstd.ZstdCompressor(1))
assert len(bomb) < 200_000
try:
    zstd.decompress(bomb)
except MemoryError:
    print('refused')
decompressor = zstd.ZstdDecompressor()
assert len(decompressor.decompress(bomb, max_length=1 << 20)) == 1 << 20
# Nested: the bomb in another stream.
assert zstd.decompress(lzma.decompress(bz2.decompress(bz2.compress(lzma.compress(zstd.compress(b'x')))))) == b'x'
"
    );
    let sandbox = sandbox_with_limits(None, limits);
    let before = sandbox
        .execute("import bz2, lzma\nfrom compression import zstd\nprint('refused')")
        .await;
    let result = sandbox.execute(text).await;
    // All of it happens in the memory of the program.
    assert_eq!(
        before.expect("runs").peak_host_memory,
        result.as_ref().expect("runs").peak_host_memory
    );
    assert_eq!(expect_stdout(result), "refused\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_that_ask_for_gigabytes_are_refused() {
    let text = r#"
import lzma, struct
from compression import zstd

def refused(function, *arguments, **keywords):
    try:
        function(*arguments, **keywords)
    except (MemoryError, lzma.LZMAError, zstd.ZstdError) as error:
        print(type(error).__name__)

# A dictionary of 4 GiB - 1, in the formats that have its size.
alone = struct.pack("<BIq", 93, 0xFFFFFFFF, -1) + b"\0" * 100
refused(lzma.decompress, alone)
filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 0xFFFFFFFF}]
refused(lzma.decompress, b"\1\0\0a\0", lzma.FORMAT_RAW, filters=filters)
refused(lzma.compress, b"", filters=[{"id": lzma.FILTER_LZMA2, "preset": 9, "dict_size": 1536 << 20}])
# A window of 1 TiB, which no decompressor accepts, and one of 2 GiB, which needs a parameter.
refused(zstd.decompress, bytes.fromhex("28b52ffd00f0000000"))
refused(zstd.decompress, bytes.fromhex("28b52ffd00a8000000"))
"#;
    let printed = expect_stdout(sandbox(None).execute(text).await);
    assert_eq!(printed.lines().count(), 5, "{printed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_compression_ends_at_the_time_limit() {
    for compress in [
        "lzma.compress(data, preset=9 | lzma.PRESET_EXTREME)",
        "zstd.compress(data, 19)",
        "bz2.compress(data)",
        "zstd.train_dict([data[n:n + 9000] for n in range(0, len(data), 9000)], 1 << 20)",
    ] {
        let text = format!(
            "import lzma, bz2, random\nfrom compression import zstd\n\
             data = random.Random(1).randbytes(1 << 20) * 4\nwhile True: {compress}"
        );
        let result = sandbox_with_limits(None, timeout_of(1)).execute(text).await;
        expect_time_limit(result, compress);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn compressors_continue_in_forks_and_snapshots() {
    let sandbox = sandbox_with_limits(
        None,
        ResourceLimits::default().with_execution_timeout(Duration::from_secs(60)),
    );
    let mut session = sandbox.session().await.expect("started");
    let begin = r#"
import bz2, hashlib, lzma
from compression import zstd
data = b"part of a stream " * 9000
compressors = bz2.BZ2Compressor(), lzma.LZMACompressor(), zstd.ZstdCompressor()
begun = [each.compress(data) for each in compressors]
digest = hashlib.new("sm3", data)
"#;
    expect_stdout(session.execute(begin).await);
    let end = r#"
digest.update(data)
assert digest.hexdigest() == hashlib.new("sm3", data * 2).hexdigest()
whole = [b + c.compress(data) + c.flush() for b, c in zip(begun, compressors)]
for module, stream in zip((bz2, lzma, zstd), whole):
    assert module.decompress(stream) == data * 2
print([hashlib.sha256(stream).hexdigest()[:8] for stream in whole])
"#;
    let mut fork = session.fork().await.expect("forked");
    let snapshot = session.snapshot().await.expect("taken");
    let mut restored = sandbox.restore(&snapshot).await.expect("restored");
    let expected = expect_stdout(session.execute(end).await);
    assert_eq!(expect_stdout(fork.execute(end).await), expected);
    assert_eq!(expect_stdout(restored.execute(end).await), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_preset_works_in_the_memory_of_a_default_sandbox() {
    let text = "import lzma\ndata = bytes(range(256)) * 100\n\
                for preset in None, 0, 6, 9, 9 | lzma.PRESET_EXTREME:\n    \
                assert lzma.decompress(lzma.compress(data, preset=preset)) == data\n\
                print('all')";
    assert_eq!(expect_stdout(sandbox(None).execute(text).await), "all\n");
}

#[tokio::test]
async fn an_error_of_a_library_is_that_of_cpython() {
    for (call, kind) in [
        ("bz2.decompress(b'no stream')", "OSError"),
        ("bz2.decompress(bz2.compress(b'x')[:-1])", "ValueError"),
        ("lzma.decompress(b'no stream')", "_lzma.LZMAError"),
        (
            "zstd.decompress(b'no stream')",
            "compression.zstd.ZstdError",
        ),
    ] {
        let text = format!("import bz2, lzma\nfrom compression import zstd\n{call}");
        let exception = expect_exception(sandbox(None).execute(text).await);
        assert_eq!(exception.exception_type, kind, "{call}");
    }
}
