//! `eryx:host/functions`: converts types, and decides nothing.

use std::time::Duration;

use wasmtime::component::{HasSelf, Linker, Resource, ResourceTableError};

use crate::bindings::eryx::host::functions as wit;
use crate::functions::{Call, FunctionError, FunctionKind};
use crate::json_value::JsonValue;
use crate::store_state::StoreState;

impl wit::Host for StoreState {
    fn available(&mut self, module: String) -> wasmtime::Result<Vec<wit::Description>> {
        let functions = self.calls.functions();
        let Some(functions) = functions.filter(|functions| functions.module_name() == module)
        else {
            return Ok(Vec::new());
        };
        Ok(functions
            .iter()
            .map(|(name, function)| wit::Description {
                name: name.to_owned(),
                kind: match function.kind() {
                    FunctionKind::Plain => wit::Kind::Plain,
                    FunctionKind::Asynchronous => wit::Kind::Asynchronous,
                },
                signature: function.signature().to_owned(),
                documentation: function.documentation().to_owned(),
            })
            .collect())
    }

    async fn invoke(
        &mut self,
        name: String,
        arguments: Vec<u8>,
    ) -> wasmtime::Result<Result<Vec<u8>, wit::Failure>> {
        let result = match self.calls.begin(&name, arguments) {
            Ok(admitted) => admitted.invoke().await,
            Err(error) => Err(error),
        };
        Ok(result.map(JsonValue::into_bytes).map_err(exception))
    }
}

impl wit::HostCall for StoreState {
    async fn start(
        &mut self,
        name: String,
        arguments: Vec<u8>,
    ) -> wasmtime::Result<Result<Resource<Call>, wit::Failure>> {
        let call = match self.calls.begin(&name, arguments) {
            Ok(admitted) => admitted.start().await,
            Err(error) => return Ok(Err(exception(error))),
        };
        match self.table.push(call) {
            Ok(handle) => Ok(Ok(handle)),
            Err(ResourceTableError::Full) => Ok(Err(exception(self.calls.refuse_handle()))),
            Err(other) => Err(other.into()),
        }
    }

    async fn finish(
        &mut self,
        call: Resource<Call>,
        timeout: Option<u64>,
    ) -> wasmtime::Result<Result<Vec<u8>, wit::Failure>> {
        let call = self.table.get_mut(&call)?;
        if !call.wait(timeout.map(Duration::from_nanos)).await {
            return Ok(Err(wit::Failure::WouldBlock));
        }
        Ok(match call.take() {
            Ok(value) => Ok(value.into_bytes()),
            Err(error) => Err(exception(error)),
        })
    }

    fn drop(&mut self, call: Resource<Call>) -> wasmtime::Result<()> {
        self.table.delete(call)?;
        Ok(())
    }
}

fn exception(error: FunctionError) -> wit::Failure {
    let (exception_type, message) = error.into_parts();
    wit::Failure::Raised(wit::Exception {
        exception_type,
        message,
    })
}

/// Links the functions of `eryx:host` that the guest image imports.
pub(crate) fn add_to_linker(linker: &mut Linker<StoreState>) -> wasmtime::Result<()> {
    wit::add_to_linker::<_, HasSelf<StoreState>>(linker, |state| {
        state.on_call("eryx:host/functions")
    })
}
