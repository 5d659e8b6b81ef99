//! `eryx mcp`: a server of the Model Context Protocol.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context as _, Result, anyhow, bail};
use clap::Args;
use eryx::CancelHandle;
use eryx_mcp::{BearerToken, HttpOptions, Server};

use crate::file_size_limit;
use crate::interrupt::interrupted;
use crate::sandbox_args::{PreparedSandbox, SandboxArgs, SetupError};
use crate::value_parsers;
use crate::{EXIT_FAILED, EXIT_INTERRUPTED, exit_with};

/// Serves one client on standard input and output, or with --http any number.
#[derive(Args)]
pub(crate) struct Options {
    /// How many sessions may exist at a time, each with an interpreter of its own [default: 8]
    #[arg(long, value_name = "N", help_heading = "Server")]
    max_sessions: Option<usize>,
    /// How many calls may be in progress at a time; more are refused [default: 16]
    #[arg(long, value_name = "N", help_heading = "Server")]
    max_calls: Option<usize>,
    /// How many bytes of a text a result shows; the model can read the rest [default: 32K]
    #[arg(long, value_name = "SIZE", help_heading = "Server", value_parser = value_parsers::bytes)]
    max_result: Option<u64>,
    /// Let the model save sessions to this folder of the machine, and restore them, also after a
    /// restart. They contain everything that programs have in memory, and are not encrypted
    #[arg(long, value_name = "DIR", help_heading = "Server")]
    session_dir: Option<PathBuf>,
    /// How many sessions can be saved [default: 32]
    #[arg(
        long,
        value_name = "N",
        help_heading = "Server",
        requires = "session_dir"
    )]
    max_saved_sessions: Option<usize>,
    /// Listen for HTTP instead, at http://ADDRESS/mcp; an address that other machines reach needs
    /// --http-token
    #[arg(long, value_name = "ADDRESS:PORT", help_heading = "Server")]
    http: Option<SocketAddr>,
    /// Answer only clients that send this token (`Authorization: Bearer TOKEN`)
    // Pitfall: clap's error message would show the value, which may be a token by mistake.
    #[arg(
        long,
        value_name = "env:VARIABLE|file:PATH",
        help_heading = "Server",
        requires = "http"
    )]
    http_token: Option<String>,
    /// Answer requests to this host name too, such as that of a proxy in front of the server
    /// (repeatable)
    #[arg(
        long,
        value_name = "NAME[:PORT]",
        help_heading = "Server",
        requires = "http"
    )]
    http_host: Vec<String>,
    #[command(flatten)]
    sandbox: SandboxArgs,
}

/// The location of a token. An option never has the token itself, because other users of the
/// machine can see options.
#[derive(Clone, Debug, PartialEq, Eq)]
enum TokenSource {
    Variable(String),
    File(PathBuf),
}

/// Parses `env:VARIABLE` or `file:PATH`. The error does not repeat the text, which may be a token
/// by mistake.
fn token_source(text: &str) -> Result<TokenSource> {
    match text.split_once(':') {
        Some(("env", variable)) if !variable.is_empty() => {
            Ok(TokenSource::Variable(variable.to_owned()))
        }
        Some(("file", path)) if !path.is_empty() => Ok(TokenSource::File(path.into())),
        _ => bail!("--http-token: write `env:VARIABLE` or `file:PATH`, not the token itself"),
    }
}

impl TokenSource {
    fn token(&self) -> Result<BearerToken> {
        let text = match self {
            // Messages do not show the value.
            Self::Variable(variable) => std::env::var(variable).map_err(|_| {
                anyhow!("--http-token: the variable `{variable}` is not set, or not UTF-8")
            })?,
            Self::File(path) => std::fs::read_to_string(path)
                .with_context(|| format!("--http-token: cannot read {}", path.display()))?,
        };
        BearerToken::new(&text).context("--http-token")
    }
}

impl Options {
    fn server_options(&self, sandbox: &PreparedSandbox) -> Result<eryx_mcp::Options> {
        let mut options = eryx_mcp::Options::default();
        if let Some(sessions) = self.max_sessions {
            options = options.with_max_sessions(sessions);
        }
        if let Some(calls) = self.max_calls {
            options = options.with_max_calls(calls);
        }
        if let Some(bytes) = self.max_result {
            options = options.with_max_result(usize::try_from(bytes).context("--max-result")?);
        }
        if let Some(folder) = &self.session_dir {
            if !folder.is_dir() {
                bail!(
                    "--session-dir: {} is not a directory; create it first",
                    folder.display()
                );
            }
            options = options.with_saved_sessions(folder);
        }
        if let Some(sessions) = self.max_saved_sessions {
            options = options.with_max_saved_sessions(sessions);
        }
        options = options.with_instruction(if sandbox.has_network {
            "Programs reach the network only as far as its policy allows; the message of an error \
             says which rule denied a connection, and only the user can change the policy."
        } else {
            "Programs have no network."
        });
        if !sandbox.imports.is_empty() {
            let names = sandbox.imports.join(", ");
            options = options.with_instruction(format!(
                "Besides the standard library, these modules are loaded: {names}."
            ));
        }
        Ok(options)
    }

    fn http_options(&self) -> Result<Option<HttpOptions>> {
        let Some(address) = self.http else {
            return Ok(None);
        };
        let mut options = HttpOptions::new(address);
        match &self.http_token {
            Some(place) => options = options.with_token(token_source(place)?.token()?),
            None if options.requires_token() => bail!(
                "--http {address}: other machines may reach this address, so clients need a token: \
                 add --http-token env:VARIABLE, or listen on 127.0.0.1:{}",
                address.port()
            ),
            None => {}
        }
        for host in &self.http_host {
            options = options.with_host(host);
        }
        Ok(Some(options))
    }

    /// Serves until the client disconnects, Ctrl-C or `stop` is cancelled. Returns the exit status.
    async fn serve(&self, stop: &CancelHandle) -> Result<u8, SetupError> {
        let http = self.http_options()?;
        let sandbox = self.sandbox.prepare(stop, false).await?;
        let options = self.server_options(&sandbox)?;
        let server = Server::new(sandbox.builder.build()?, options, stop.clone())
            .map_err(anyhow::Error::from)?;
        // Not earlier: Ctrl-C ends the process while packages are downloaded, compiled or imported.
        let interrupt = stop.clone();
        tokio::spawn(interrupted(move || interrupt.cancel()));
        let served = match http {
            None => server.serve_stdio().await,
            Some(http) => match server.listen(http).await {
                Ok((address, serving)) => {
                    eprintln!("eryx: listening on http://{address}/mcp");
                    serving.await;
                    Ok(())
                }
                Err(error) => return Ok(exit_with(EXIT_FAILED, &error.to_string())),
            },
        };
        if let Some(failure) = sandbox.net_log.and_then(|log| log.failure()) {
            return Ok(exit_with(EXIT_FAILED, &failure));
        }
        Ok(match served {
            Ok(()) if stop.is_cancelled() => EXIT_INTERRUPTED,
            Ok(()) => 0,
            Err(error) => exit_with(EXIT_FAILED, &error),
        })
    }
}

/// Runs the server, and returns the exit status.
pub(crate) fn run(options: &Options) -> u8 {
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return exit_with(EXIT_FAILED, &format!("cannot start: {error}")),
    };
    file_size_limit::make_writes_fail(&runtime);
    let stop = CancelHandle::new();
    let status = runtime.block_on(options.serve(&stop));
    // Does not wait for the thread that reads standard input, which a client may keep open.
    runtime.shutdown_background();
    status.unwrap_or_else(|error| exit_with(error.status, &error.message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_in_a_variable_or_a_file_and_never_on_the_command_line() {
        for (text, place) in [
            ("env:TOKEN", TokenSource::Variable("TOKEN".to_owned())),
            ("file:/run/a:b", TokenSource::File("/run/a:b".into())),
        ] {
            assert_eq!(token_source(text).expect(text), place);
        }
        for text in ["hunter2", "env:", "file:", "var:hunter2", ""] {
            let error = token_source(text).expect_err(text);
            assert!(!format!("{error:#}").contains("hunter2"), "{error}");
        }
    }
}
