//! The server: handles the requests of clients.

use std::sync::Arc;

use eryx::files::SessionFiles;
use eryx::{CancelHandle, Sandbox};
use rmcp::handler::server::ServerHandler;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ErrorCode, Implementation,
    ListResourceTemplatesResult, ListResourcesResult, ListToolsResult, PaginatedRequestParams,
    ReadResourceRequestParams, ReadResourceResponse, ReadResourceResult, ServerCapabilities,
    ServerConfig,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer};
use tokio::sync::{Mutex, Semaphore, SemaphorePermit};

use crate::arguments::{
    self, ForkSession, ListFiles, ListSessions, ReadFile, ReadOutput, ResetSession, RunPython,
    SavedSession, WriteFile,
};
use crate::instructions::instructions;
use crate::options::{Options, OptionsError};
use crate::progress;
use crate::resources;
use crate::saved_sessions::SavedSessions;
use crate::session_files;
use crate::sessions::{RunError, Sessions};
use crate::tool_result;
use crate::tools::tools;

/// A Model Context Protocol server whose tools run Python programs in sandboxes.
///
/// Clones serve the same sessions.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let sandbox = eryx::Sandbox::from_image(&eryx::GuestImage::from_file("image.wasm")?).build()?;
/// let stop = eryx::CancelHandle::new();
/// let server = eryx_mcp::Server::new(sandbox, eryx_mcp::Options::default(), stop)?;
/// server.serve_stdio().await?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Server {
    shared: Arc<Shared>,
}

struct Shared {
    sessions: Sessions,
    saved: Option<SavedSessions>,
    calls: Semaphore,
    /// Locked while a call lists the saved sessions, which takes a thread, and no permit.
    folder_listing: Mutex<()>,
    options: Options,
    instructions: String,
    stop: CancelHandle,
}

impl Server {
    /// Returns a server whose sessions are those of `sandbox`. `stop` stops it: programs end, and
    /// the functions that serve return.
    ///
    /// # Errors
    ///
    /// If a bound of the options is too small.
    pub fn new(
        sandbox: Sandbox,
        options: Options,
        stop: CancelHandle,
    ) -> Result<Self, OptionsError> {
        options.validate()?;
        let saved = options.saved_sessions.as_deref();
        let saved = saved.map(|folder| SavedSessions::new(folder, options.max_saved_sessions));
        Ok(Self {
            shared: Arc::new(Shared {
                sessions: Sessions::new(sandbox, options.max_sessions),
                saved,
                calls: Semaphore::new(options.max_calls.min(Semaphore::MAX_PERMITS)),
                folder_listing: Mutex::default(),
                instructions: instructions(&options),
                options,
                stop,
            }),
        })
    }

    /// Waits until the server is stopped.
    pub(crate) async fn stopped(&self) {
        self.shared.stop.cancelled().await;
    }

    /// Counts a call while the permit exists.
    ///
    /// # Errors
    ///
    /// The message for the model, if there are too many.
    fn permit(&self) -> Result<SemaphorePermit<'_>, String> {
        self.shared.calls.try_acquire().map_err(|_| {
            format!(
                "{} calls are in progress, the most that are allowed: wait until one has ended, or \
                 end its session with reset_session, and repeat this one",
                self.shared.options.max_calls
            )
        })
    }

    async fn run_python(
        &self,
        arguments: RunPython,
        context: &RequestContext<RoleServer>,
    ) -> CallToolResult {
        if let Err(message) = arguments.check() {
            return tool_result::error(message);
        }
        let shared = &*self.shared;
        let RunPython { code, session } = arguments;
        let cancel = CancelHandle::new();
        let outcome = {
            let mut run = std::pin::pin!(shared.sessions.run(&session, &code, &cancel));
            tokio::select! {
                outcome = &mut run => outcome,
                () = self.call_ended(context) => {
                    cancel.cancel();
                    run.await
                }
            }
        };
        match outcome {
            Ok((program, output)) => {
                tool_result::of_program(&session, &program, &output, shared.options.max_result)
            }
            Err(RunError::Cancelled) => tool_result::error("The call was cancelled."),
            Err(RunError::Removed) => tool_result::error(format!(
                "Session `{}` was reset before the program started; the program did not run.",
                session.as_str()
            )),
            Err(RunError::TooManySessions(message)) => tool_result::error(message),
        }
    }

    /// Waits until the client cancels a call or goes, or the server is stopped. Sends progress
    /// notifications meanwhile.
    async fn call_ended(&self, context: &RequestContext<RoleServer>) {
        tokio::select! {
            () = context.ct.cancelled() => {}
            () = self.stopped() => {}
            () = progress::notify(context) => {}
        }
    }

    fn read_output(&self, arguments: &ReadOutput) -> CallToolResult {
        let name = &arguments.session;
        match self.shared.sessions.output(name) {
            Some(output) => {
                let text = output.stream(arguments.stream);
                tool_result::of_part(text, arguments.offset, self.shared.options.max_result)
            }
            None => tool_result::error(format!(
                "no program of session `{}` has ended; list_sessions shows the sessions",
                name.as_str()
            )),
        }
    }

    async fn list_sessions(&self) -> Result<CallToolResult, String> {
        let lines = self.shared.sessions.list().into_iter().map(|session| {
            let state = if session.is_running {
                "running"
            } else {
                "idle"
            };
            format!("{}: {state}, {} programs", session.name, session.programs)
        });
        let mut lines: Vec<String> = lines.collect();
        if lines.is_empty() {
            lines.push("There are no sessions. run_python starts one.".to_owned());
        }
        if let Some(saved) = &self.shared.saved {
            let _turn = self.shared.folder_listing.lock().await;
            let names = saved.clone().names().await?;
            lines.extend(names.iter().map(|name| format!("saved: {}", name.as_str())));
        }
        Ok(tool_result::success(lines.join("\n")))
    }

    async fn fork_session(&self, arguments: &ForkSession) -> Result<CallToolResult, String> {
        let ForkSession { session, copy } = arguments;
        self.shared.sessions.fork(session, copy).await?;
        Ok(tool_result::success(format!(
            "Session `{}` is a copy of `{}`.",
            copy.as_str(),
            session.as_str()
        )))
    }

    async fn save_session(
        &self,
        saved: &SavedSessions,
        arguments: SavedSession,
    ) -> Result<CallToolResult, String> {
        let SavedSession { session, name } = arguments;
        let snapshot = self.shared.sessions.snapshot(&session).await?;
        let message = format!(
            "Session `{}` was saved as `{}`, in {} bytes.",
            session.as_str(),
            name.as_str(),
            snapshot.len()
        );
        saved.clone().write(name, snapshot).await?;
        Ok(tool_result::success(message))
    }

    async fn restore_session(
        &self,
        saved: &SavedSessions,
        arguments: SavedSession,
    ) -> Result<CallToolResult, String> {
        let SavedSession { session, name } = arguments;
        let message = format!(
            "Session `{}` continues from the saved session `{}`.",
            session.as_str(),
            name.as_str()
        );
        let snapshot = saved.clone().read(name).await?;
        self.shared.sessions.restore(&session, &snapshot).await?;
        Ok(tool_result::success(message))
    }

    fn reset_session(&self, arguments: &ResetSession) -> CallToolResult {
        let name = &arguments.session;
        if self.shared.sessions.remove(name) {
            tool_result::success(format!("Session `{}` was ended.", name.as_str()))
        } else {
            tool_result::error(format!(
                "there is no session `{}`; list_sessions shows the sessions",
                name.as_str()
            ))
        }
    }

    /// Calls a tool. The error is one in the arguments.
    async fn call(
        &self,
        request: CallToolRequestParams,
        context: &RequestContext<RoleServer>,
    ) -> Result<CallToolResult, CallError> {
        let CallToolRequestParams {
            name, arguments, ..
        } = request;
        let _permit = match &*name {
            // They wait for no session, and with them a model ends the calls that have the permits.
            "read_output" | "list_sessions" | "reset_session" => None,
            _ => Some(self.permit()?),
        };
        let sessions = &self.shared.sessions;
        let max = self.shared.options.max_result;
        Ok(match &*name {
            "run_python" => {
                self.run_python(arguments::parse(&name, arguments)?, context)
                    .await
            }
            "read_output" => self.read_output(&arguments::parse(&name, arguments)?),
            "list_files" => {
                let ListFiles { session, path } = arguments::parse(&name, arguments)?;
                let list = |files: SessionFiles<'_>| Ok(session_files::list(&files, &path, max));
                tool_result::success(sessions.with_files(&session, false, list).await?)
            }
            "read_file" => {
                let ReadFile {
                    path,
                    session,
                    offset,
                } = arguments::parse(&name, arguments)?;
                let find = |files: SessionFiles<'_>| session_files::content(&files, &path);
                let content = sessions.with_files(&session, false, find).await?;
                session_files::read_result(&content, &session, &path, offset, max)?
            }
            "write_file" => {
                let arguments: WriteFile = arguments::parse(&name, arguments)?;
                // Checked first: a call that waits for its session keeps no more than is allowed.
                let content = session_files::decoded(&arguments)?;
                let write = |files: SessionFiles<'_>| {
                    session_files::write(&files, &arguments.path, &content)
                };
                tool_result::success(sessions.with_files(&arguments.session, true, write).await?)
            }
            "list_sessions" => {
                let ListSessions {} = arguments::parse(&name, arguments)?;
                self.list_sessions().await?
            }
            "reset_session" => self.reset_session(&arguments::parse(&name, arguments)?),
            "fork_session" => {
                self.fork_session(&arguments::parse(&name, arguments)?)
                    .await?
            }
            "save_session" if let Some(saved) = &self.shared.saved => {
                self.save_session(saved, arguments::parse(&name, arguments)?)
                    .await?
            }
            "restore_session" if let Some(saved) = &self.shared.saved => {
                self.restore_session(saved, arguments::parse(&name, arguments)?)
                    .await?
            }
            _ => return Err(CallError::UnknownTool),
        })
    }
}

/// The error for a call that no tool handles.
enum CallError {
    UnknownTool,
    Arguments(String),
}

impl From<String> for CallError {
    fn from(message: String) -> Self {
        Self::Arguments(message)
    }
}

/// Returns the error of the protocol for a request with wrong parameters.
fn invalid(message: String) -> ErrorData {
    ErrorData::new(ErrorCode::INVALID_PARAMS, message, None)
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder()
            .enable_tools()
            .enable_resources()
            .build();
        ServerConfig::new(capabilities)
            .with_server_info(Implementation::new("eryx", env!("CARGO_PKG_VERSION")))
            .with_instructions(&self.shared.instructions)
    }

    async fn list_tools(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let saves = self.shared.saved.is_some();
        Ok(ListToolsResult::with_all_items(tools(saves)))
    }

    async fn list_resources(
        &self,
        request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        let _permit = self.permit().map_err(invalid)?;
        let cursor = request.and_then(|request| request.cursor);
        let page = resources::list(&self.shared.sessions, cursor.as_deref())
            .await
            .map_err(invalid)?;
        let mut result = ListResourcesResult::with_all_items(page.resources);
        result.next_cursor = page.next;
        Ok(result)
    }

    async fn list_resource_templates(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        let templates = vec![resources::template()];
        Ok(ListResourceTemplatesResult::with_all_items(templates))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let _permit = self.permit().map_err(invalid)?;
        let contents = resources::read(&self.shared.sessions, &request.uri)
            .await
            .map_err(|message| ErrorData::resource_not_found(message, None))?;
        Ok(ReadResourceResult::new(vec![contents]).into())
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        match self.call(request, &context).await {
            Ok(result) => Ok(result.into()),
            // A model sees errors of a tool, and no errors of the protocol.
            Err(CallError::Arguments(message)) => Ok(tool_result::error(message).into()),
            Err(CallError::UnknownTool) => Err(invalid(
                "there is no such tool; tools/list lists the tools".to_owned(),
            )),
        }
    }
}
