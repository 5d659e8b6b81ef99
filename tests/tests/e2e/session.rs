//! Programs that build on each other.

use eryx::Error;
use eryx_testkit::{Behaviour, Peer};

use crate::stage::{limited, loopback, one_second, raised, sandbox, succeeded};

#[tokio::test]
async fn names_imports_and_functions_stay() {
    let mut session = sandbox(None).session().await.expect("started");
    succeeded(
        session
            .execute("import json\nx = 20\ndef double(n): return 2 * n")
            .await,
    );
    assert_eq!(
        succeeded(session.execute("print(json.dumps([double(x) + 2]))").await),
        "[42]\n"
    );
}

#[tokio::test]
async fn executions_of_a_sandbox_see_nothing_of_each_other() {
    let sandbox = sandbox(None);
    succeeded(
        sandbox
            .execute("import builtins, sys\nx = 1\nbuiltins.y = 2\nsys.modules['z'] = 3")
            .await,
    );
    let program =
        "import builtins, sys\nprint('x' in globals(), hasattr(builtins, 'y'), 'z' in sys.modules)";
    assert_eq!(
        succeeded(sandbox.execute(program).await),
        "False False False\n"
    );
}

#[tokio::test]
async fn a_session_goes_on_after_an_exception() {
    let mut session = sandbox(None).session().await.expect("started");
    succeeded(session.execute("x = 1").await);
    let error = raised(
        session
            .execute("def f():\n    return 1 / 0\nprint('out')\nf()")
            .await,
    );
    assert_eq!(error.exception_type, "ZeroDivisionError");
    assert!(
        error.traceback.contains("return 1 / 0"),
        "{}",
        error.traceback
    );
    assert_eq!(error.output.stdout, b"out\n");
    assert_eq!(succeeded(session.execute("print(x)").await), "1\n");
    // A function of an earlier execution still shows its own source.
    let error = raised(session.execute("\n\n\nf()").await);
    assert!(
        error.traceback.contains("return 1 / 0"),
        "{}",
        error.traceback
    );
}

#[tokio::test]
async fn a_session_is_over_when_an_execution_was_cut_off() {
    let mut session = limited(None, one_second())
        .session()
        .await
        .expect("started");
    assert!(matches!(
        session.execute("while True: pass").await,
        Err(Error::Limit { .. })
    ));
    match session.execute("print(1)").await {
        Err(Error::SessionOver { reason }) => {
            assert!(reason.contains("execution_timeout"), "{reason}")
        }
        other => panic!("{other:?}"),
    }
    let mut session = sandbox(None).session().await.expect("started");
    succeeded(session.execute("import os\nos._exit(0)").await);
    assert!(matches!(
        session.execute("print(1)").await,
        Err(Error::SessionOver { .. })
    ));
}

#[tokio::test]
async fn a_session_is_over_when_an_execution_was_dropped() {
    let mut session = sandbox(None).session().await.expect("started");
    let wait = std::time::Duration::from_millis(100);
    tokio::time::timeout(wait, session.execute("while True: pass"))
        .await
        .expect_err("dropped");
    assert!(matches!(
        session.execute("print(1)").await,
        Err(Error::SessionOver { .. })
    ));
}

#[tokio::test]
async fn a_connection_opened_by_one_execution_serves_the_next() {
    let peer = Peer::plain(Behaviour::Echo).await.expect("started");
    let mut session = sandbox(Some(loopback())).session().await.expect("started");
    let connect = format!(
        "import socket\ns = socket.create_connection(('127.0.0.1', {}), timeout=5)",
        peer.port()
    );
    succeeded(session.execute(connect).await);
    succeeded(session.execute("s.sendall(b'hello')").await);
    let result = session
        .execute("print(s.recv(5))")
        .await
        .expect("it answers");
    assert_eq!(result.stdout, "b'hello'\n");
    assert_eq!(
        result.network.connections.len(),
        1,
        "what lasts is told again"
    );
    succeeded(session.execute("s.close()").await);
    assert_eq!(peer.ended(1).await[0].received, 5);
}

#[tokio::test]
async fn an_asyncio_stream_opened_by_one_execution_serves_the_next() {
    let peer = Peer::plain(Behaviour::Echo).await.expect("started");
    let mut session = sandbox(Some(loopback())).session().await.expect("started");
    let connect = format!(
        "import asyncio\nr, w = await asyncio.open_connection('127.0.0.1', {})",
        peer.port()
    );
    succeeded(session.execute(connect).await);
    succeeded(session.execute("w.write(b'hello')\nawait w.drain()").await);
    assert_eq!(
        succeeded(session.execute("print(await r.readexactly(5))").await),
        "b'hello'\n"
    );
}

#[tokio::test]
async fn output_and_reports_belong_to_one_execution() {
    let mut session = sandbox(None).session().await.expect("started");
    assert_eq!(succeeded(session.execute("print(1)").await), "1\n");
    assert_eq!(succeeded(session.execute("print(2)").await), "2\n");
}

#[tokio::test]
async fn await_is_allowed_at_the_top_level() {
    let program = "
import asyncio
async def answer():
    await asyncio.sleep(0.01)
    return 42
print(await answer())
async with asyncio.timeout(5):
    print([await answer() for _ in range(2)])
";
    assert_eq!(
        succeeded(sandbox(None).execute(program).await),
        "42\n[42, 42]\n"
    );
    let program = "import asyncio\nasync def main(): print('run')\nasyncio.run(main())";
    assert_eq!(succeeded(sandbox(None).execute(program).await), "run\n");
}
