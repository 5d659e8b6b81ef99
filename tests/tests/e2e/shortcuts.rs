//! Shortcuts through the standard library give what it would have given.

use crate::stage::{sandbox, succeeded};

#[tokio::test]
async fn what_takes_a_shortcut_is_what_takes_the_long_way() {
    let program = include_str!("programs/shortcuts.py");
    let printed = succeeded(sandbox(None).execute(program).await);
    assert_eq!(printed, "the same\n");
}
