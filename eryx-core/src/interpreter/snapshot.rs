//! Snapshots of an interpreter as bytes, and interpreters that start from one.

use std::time::Duration;

use eryx_net_host::Network;
use tokio::time::Instant;
use wasmtime::Store;

use crate::error::Error;
use crate::execution_timeout::within_time_limit;
use crate::functions::OfferedFunctions;
use crate::interpreter::Interpreter;
use crate::interpreter::fork::{STEP, handles, page_map};
use crate::interpreter::start::{InitialState, InstanceChoice, start_files};
use crate::limits::ResourceLimits;
use crate::memory_access::{MemoryAccess, copy_error};
use crate::memory_changes::Changes;
use crate::session_clock::SessionClock;
use crate::session_snapshot::{
    PAGE, PageRun, SessionFacts, SnapshotReader, SnapshotWriter, files, xor,
};
use crate::snapshot_error::SnapshotError;
use crate::stdio::Sinks;
use crate::store_state::StoreState;
use crate::template::Template;

/// The most bytes of memory that are compressed or expanded in one step.
const PIECE: usize = 128 << 10;

impl Interpreter {
    /// Returns the state of the interpreter as bytes. Calls the callbacks of `os.register_at_fork`,
    /// as a fork does.
    pub(crate) async fn snapshot(&mut self, template: &Template) -> Result<Vec<u8>, Error> {
        let started = Instant::now();
        let mut paused = self.pause(started).await?;
        let bytes = self
            .write_snapshot(&mut paused.store, template, started)
            .await;
        self.resume(paused, started).await?;
        bytes
    }

    async fn write_snapshot(
        &mut self,
        store: &mut Store<StoreState>,
        template: &Template,
        started: Instant,
    ) -> Result<Vec<u8>, Error> {
        let memory = MemoryAccess::find(&self.instance, store)?;
        // An instance that never runs has the memory of the image.
        let offered = OfferedFunctions::default();
        let initial = InitialState::new(template, &self.limits, Network::off(), &offered)?;
        let sinks = Sinks::default();
        let (image, choice) = (&template.image, InstanceChoice::New);
        let pristine = Self::start_from(image, &self.limits, &sinks, initial, choice).await?;
        let Some(mut pristine_store) = pristine.store else {
            return Err(SnapshotError::Unsupported.into());
        };
        let pristine_access = MemoryAccess::find(&pristine.instance, &mut pristine_store)?;
        let facts = SessionFacts {
            memory: memory.view(store).await.map_err(copy_error)?.len() as u64,
            clock: u64::try_from(store.data().clock.reading().as_nanos()).unwrap_or(u64::MAX),
            handles: handles(store),
            had_stdin: self.had_stdin,
        };
        let time_slice = store.data().time_slice.clone();
        let mut now = store.data().files.lock().fork();
        let before = pristine_store.data().files.lock().snapshot();
        let slice = time_slice.clone();
        let work = time_slice.run(async {
            let image = template.image.digest();
            let mut writer = SnapshotWriter::new(image, &template.factory_digest(), &facts);
            files::write(&mut writer, &mut now, &before, &slice).await?;
            write_memory(
                &mut writer,
                (store, &memory),
                (&mut pristine_store, &pristine_access),
            )
            .await?;
            Ok(writer.finish())
        });
        within_time_limit(self.limits.execution_timeout(), started, work).await
    }

    /// Makes an interpreter that continues the session in `bytes`, with `network`.
    pub(crate) async fn restore(
        template: &Template,
        limits: &ResourceLimits,
        sinks: &Sinks,
        network: Network,
        offered: &OfferedFunctions,
        bytes: &[u8],
    ) -> Result<Self, Error> {
        let started = Instant::now();
        let image_digest = template.image.digest();
        let mut reader = SnapshotReader::new(bytes, image_digest, &template.factory_digest())?;
        let facts = reader.facts();
        if facts.memory > limits.max_memory() {
            return Err(SnapshotError::Memory {
                needed: facts.memory,
            }
            .into());
        }
        let initial = InitialState {
            files: start_files(&template.files, limits)?,
            clock: SessionClock::starting_at(Duration::from_nanos(facts.clock)),
            network,
            offered: offered.clone(),
        };
        let (image, choice) = (&template.image, InstanceChoice::Any);
        let mut interpreter = Self::start_from(image, limits, sinks, initial, choice).await?;
        interpreter.had_stdin = facts.had_stdin;
        interpreter
            .fill_and_resume(started, facts.handles, async |store, access| {
                read_state(&mut reader, store, access).await
            })
            .await?;
        Ok(interpreter)
    }
}

/// Writes the pages that differ from those of the image.
async fn write_memory(
    writer: &mut SnapshotWriter,
    (store, access): (&mut Store<StoreState>, &MemoryAccess),
    (pristine_store, pristine_access): (&mut Store<StoreState>, &MemoryAccess),
) -> Result<(), Error> {
    // The C stack is left out: between two executions it has only what earlier calls left there.
    let start = access.start(store).await.map_err(copy_error)?;
    let view = access.view(store).await.map_err(copy_error)?;
    let size = view.len();
    let map = page_map(view.as_le_slice(&*store));
    let time_slice = store.data().time_slice.clone();
    let mut position = start / PAGE * PAGE;
    let mut buffer = Vec::with_capacity(PIECE);
    while position < size {
        let end = size.min(position + STEP);
        let memory = access.view(store).await.map_err(copy_error)?;
        let pristine = pristine_access
            .view(pristine_store)
            .await
            .map_err(copy_error)?;
        let ranges = Changes::Different(pristine.as_le_slice(&*pristine_store), map.as_ref())
            .find(memory.as_le_slice(&*store), position..end)
            .map_err(SnapshotError::pages)?;
        for range in ranges {
            // Numbers of pages have 20 bits.
            writer.begin_pages(PageRun {
                first: (range.start / PAGE) as u32,
                pages: (range.len() / PAGE) as u32,
            });
            let mut at = range.start;
            while at < range.end {
                let piece = at..range.end.min(at + PIECE);
                buffer.clear();
                buffer.extend_from_slice(&memory.as_le_slice(&*store)[piece.clone()]);
                let image = pristine.as_le_slice(&*pristine_store);
                xor(&mut buffer, image.get(piece.start..).unwrap_or_default());
                writer.put(&buffer);
                at = piece.end;
                if time_slice.is_over() {
                    tokio::task::yield_now().await;
                }
            }
        }
        position = end;
    }
    Ok(())
}

/// Reads the files and the memory of a snapshot into a new interpreter.
async fn read_state(
    reader: &mut SnapshotReader<'_>,
    store: &mut Store<StoreState>,
    access: &MemoryAccess,
) -> Result<(), Error> {
    let time_slice = store.data().time_slice.clone();
    // Nothing in the guest runs meanwhile, so the files can be taken out.
    let mut read = store.data().files.lock().fork();
    files::read(reader, &mut read, &time_slice).await?;
    *store.data().files.lock() = read;
    let size = reader.facts().memory;
    // At most 4 GiB: checked with the limit of memory.
    let grown = access
        .grow_to(store, usize::try_from(size).unwrap_or(usize::MAX))
        .await
        .map_err(|_| SnapshotError::Damaged("it has less memory than the image"))?;
    if !grown {
        return Err(SnapshotError::Memory { needed: size }.into());
    }
    let start = access.start(store).await.map_err(copy_error)?;
    while let Some(run) = reader.next_pages(start, &time_slice).await? {
        let mut at = run.first as usize * PAGE;
        let end = at + run.pages as usize * PAGE;
        while at < end {
            let mut piece = vec![0; PIECE.min(end - at)];
            reader.fill(&mut piece, &time_slice).await?;
            let view = access.view(store).await.map_err(copy_error)?;
            let image = view.as_le_slice(&*store);
            xor(&mut piece, image.get(at..).unwrap_or_default());
            let length = piece.len();
            // Addresses have 32 bits: the reader has checked the pages.
            let address = u32::try_from(at).unwrap_or(u32::MAX);
            access
                .place(store, address, piece)
                .await
                .map_err(copy_error)?;
            at += length;
            if time_slice.is_over() {
                tokio::task::yield_now().await;
            }
        }
    }
    Ok(())
}
