//! The results of tool calls: the output of a program and how it ended, as text for a model.

use data_encoding::BASE64;
use eryx::{Error, ExecuteResult, Limit};
use rmcp::model::{CallToolResult, ContentBlock};

use crate::arguments::{SessionName, Stream};
use crate::program_output::ProgramOutput;
use crate::session_files;
use crate::sessions::{FinishedProgram, ends_session};

/// The media types of images that a result contains.
const IMAGE_TYPES: [&str; 4] = ["image/png", "image/jpeg", "image/gif", "image/webp"];

/// The largest image that a result contains, in bytes.
const MAX_IMAGE: usize = 1 << 20;

/// Returns the images among the representations of the value of a program.
fn images(result: &ExecuteResult) -> impl Iterator<Item = ContentBlock> + '_ {
    let images = result.display.iter().filter(|display| {
        IMAGE_TYPES.contains(&&*display.media_type) && display.data.len() <= MAX_IMAGE
    });
    images.map(|display| {
        ContentBlock::image(BASE64.encode(&display.data), display.media_type.clone())
    })
}

/// Returns an error for the model.
pub(crate) fn error(text: impl Into<String>) -> CallToolResult {
    CallToolResult::error(vec![ContentBlock::text(text)])
}

/// Returns a result with one text.
pub(crate) fn success(text: impl Into<String>) -> CallToolResult {
    CallToolResult::success(vec![ContentBlock::text(text)])
}

/// Returns the result for a program that ended. Each text has a block of its own, so that no
/// program can forge the end of a text. Each shows at most `max` bytes of output; the note of
/// [`clip`] comes on top.
pub(crate) fn of_program(
    session: &SessionName,
    program: &FinishedProgram,
    output: &ProgramOutput,
    max: usize,
) -> CallToolResult {
    let clipped = |stream| clip(output.stream(stream), session, stream, max);
    let mut blocks = Vec::new();
    if !output.stdout.is_empty() {
        blocks.push(clipped(Stream::Stdout));
    }
    if !output.stderr.is_empty() {
        blocks.push(format!("Standard error:\n{}", clipped(Stream::Stderr)));
    }
    match &program.result {
        Ok(result)
            if output.value.is_empty()
                && let Some(Err(error)) = &result.value =>
        {
            blocks.push(match error.is_exit() {
                true => "The program exited with status 0.".to_owned(),
                false => format!("The value cannot be returned: {error}."),
            });
        }
        Ok(result) if blocks.is_empty() && output.value.is_empty() && result.display.is_empty() => {
            blocks.push("The program ended without output.".to_owned())
        }
        Ok(_) if output.value.is_empty() => {}
        Ok(_) => blocks.push(format!("Value:\n{}", clipped(Stream::Value))),
        Err(Error::Exception(raised)) => blocks.push(match raised.exit_status {
            Some(status) => format!("The program exited with status {status}."),
            None if output.traceback.is_empty() => raised.to_string(),
            None => clipped(Stream::Traceback),
        }),
        Err(error) => blocks.push(end_message(error, session)),
    }
    let changes = match &program.result {
        Ok(result) => Some(&result.files),
        // The files are lost with their session.
        Err(error) if ends_session(error) => None,
        Err(error) => error.usage().map(|usage| &usage.files),
    };
    blocks.extend(changes.and_then(session_files::describe_changes));
    if let Some(loss) = &program.loss {
        blocks.push(format!(
            "Note: before this program, session `{}` was started anew, without variables, imports \
             and files, because of an earlier program: {loss}.",
            session.as_str()
        ));
    }
    let mut blocks: Vec<_> = blocks.into_iter().map(ContentBlock::text).collect();
    match &program.result {
        Ok(result) => {
            blocks.extend(images(result));
            CallToolResult::success(blocks)
        }
        Err(_) => CallToolResult::error(blocks),
    }
}

/// Returns the message for a program that did not end by itself.
fn end_message(error: &Error, session: &SessionName) -> String {
    let mut message = match error {
        Error::Limit { limit, .. } => limit_message(limit),
        Error::Cancelled { .. } => "The program was ended by reset_session, or because the server \
                                    stops."
            .to_owned(),
        // An `eryx::Error` ends without a full stop.
        other => format!("The program could not be run to its end: {other}."),
    };
    if ends_session(error) {
        message.push_str(&format!(
            " Session `{}` is lost: the next program in it starts without variables, imports and \
             files.",
            session.as_str()
        ));
    }
    message
}

/// Returns the message for a program that exceeded a limit: which one, and what to do.
fn limit_message(limit: &Limit) -> String {
    let (exceeded, advice, option) = match limit {
        Limit::ExecutionTime(time) => (
            format!("The program took longer than its time limit of {time:?}."),
            "Do less in one call, or use a faster algorithm; what earlier calls left in the session \
             is lost, too.",
            Some("--timeout"),
        ),
        Limit::Memory(bytes) => (
            format!(
                "The program needed more memory than its limit of {}.",
                mebibytes(*bytes)
            ),
            "Process data in smaller pieces, and delete what is no longer needed.",
            Some("--max-memory"),
        ),
        Limit::Output(bytes) => (
            format!("The program printed more than its limit of {bytes} bytes."),
            "Print a part or a summary, or write to a file.",
            Some("--max-output"),
        ),
        Limit::HostMemory(bytes) => (
            format!(
                "The program needed more memory for output and connections than its limit of {}.",
                mebibytes(*bytes)
            ),
            "Print less, and close connections.",
            Some("--max-host-memory"),
        ),
        Limit::Stack => (
            "The program recursed deeper than the stack allows.".to_owned(),
            "Use a loop, or recurse less deeply.",
            None,
        ),
        other => (format!("The program exceeded a limit: {other}."), "", None),
    };
    let mut message = exceeded;
    if !advice.is_empty() {
        message.push(' ');
        message.push_str(advice);
    }
    if let Some(option) = option {
        message.push_str(&format!(
            " Only the person who starts the server can raise the limit ({option})."
        ));
    }
    message
}

fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}

/// Returns `text`, or its start and its end with a note between them, if it has more than `max`
/// bytes.
fn clip(text: &str, session: &SessionName, stream: Stream, max: usize) -> String {
    if text.len() <= max {
        return text.to_owned();
    }
    let start = text.floor_char_boundary(max / 2);
    let end = text.ceil_char_boundary(text.len() - (max - max / 2));
    format!(
        "{}\n[{} bytes are left out here; read_output with session \"{}\", stream \"{}\" and offset \
         {start} returns them]\n{}",
        &text[..start],
        end - start,
        session.as_str(),
        stream.name(),
        &text[end..]
    )
}

/// Returns the result of `read_output`: the part of `text` from `offset`, of at most `max` bytes.
pub(crate) fn of_part(text: &str, offset: usize, max: usize) -> CallToolResult {
    let total = text.len();
    if offset > total {
        return error(format!(
            "`offset` is {offset}, but the text has {total} bytes"
        ));
    }
    let start = text.floor_char_boundary(offset);
    let end = text.floor_char_boundary(start.saturating_add(max).min(total));
    let rest = if end < total {
        format!("; continue with offset {end}")
    } else {
        String::new()
    };
    CallToolResult::success(vec![
        ContentBlock::text(&text[start..end]),
        ContentBlock::text(format!("Bytes {start} to {end} of {total}{rest}.")),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clipped(text: &str, max: usize) -> String {
        clip(text, &SessionName::default(), Stream::Stdout, max)
    }

    #[test]
    fn a_long_text_keeps_its_start_and_its_end_and_says_how_to_read_the_rest() {
        assert_eq!(clipped("short", 5), "short");
        let text = format!("{}{}", "a".repeat(5000), "é".repeat(5000));
        let shown = clipped(&text, 1001);
        assert!(shown.len() < 1200, "{}", shown.len());
        assert!(shown.starts_with("aaa") && shown.ends_with("éé"));
        assert!(
            shown.contains("[14000 bytes are left out here; read_output with session \"main\", stream \"stdout\" and offset 500 "),
            "{shown}"
        );
    }

    #[test]
    fn the_parts_of_a_text_are_the_whole_text() {
        let text = "añb€".repeat(1000);
        let (mut read, mut offset) = (String::new(), 0);
        loop {
            let result = of_part(&text, offset, 1024);
            let texts: Vec<_> = result
                .content
                .iter()
                .filter_map(|block| Some(block.as_text()?.text.clone()))
                .collect();
            read.push_str(&texts[0]);
            offset = read.len();
            if !texts[1].contains("continue") {
                break;
            }
            assert!(
                texts[1].ends_with(&format!("continue with offset {offset}.")),
                "{}",
                texts[1]
            );
        }
        assert_eq!(read, text);
        assert_eq!(of_part(&text, text.len() + 1, 1024).is_error, Some(true));
    }
}
