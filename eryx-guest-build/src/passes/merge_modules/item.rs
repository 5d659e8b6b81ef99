//! The items that core modules share: functions, tables, memories and globals.

use anyhow::{Result, bail};
use wasm_encoder::ExportKind;
use wasmparser::ExternalKind;

/// The kind of an item. The order is part of the merged module's layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Kind {
    Function,
    Table,
    Memory,
    Global,
}

impl Kind {
    pub(super) const ALL: [Self; 4] = [Self::Function, Self::Table, Self::Memory, Self::Global];
}

impl TryFrom<ExternalKind> for Kind {
    type Error = anyhow::Error;

    fn try_from(kind: ExternalKind) -> Result<Self> {
        Ok(match kind {
            ExternalKind::Func | ExternalKind::FuncExact => Self::Function,
            ExternalKind::Table => Self::Table,
            ExternalKind::Memory => Self::Memory,
            ExternalKind::Global => Self::Global,
            ExternalKind::Tag => bail!("an exception is shared between modules"),
        })
    }
}

impl From<Kind> for ExportKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Function => Self::Func,
            Kind::Table => Self::Table,
            Kind::Memory => Self::Memory,
            Kind::Global => Self::Global,
        }
    }
}

/// An index into one of the component's core index spaces.
pub(super) type ItemRef = (Kind, u32);

/// The origin of an item in one of the component's core index spaces.
#[derive(Clone, Copy)]
pub(super) enum Item<'a> {
    /// A canonical function of the component. Some need a memory or functions of a core instance.
    Canonical { needs_instance: bool },
    /// An export of a core instance.
    Exported { instance: u32, name: &'a str },
}

/// The definition that an import of a merged module resolves to. Host functions sort first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Definition {
    /// A canonical function of the component, by its index there.
    Host(u32),
    /// An item that the module of `instance` defines, by its index in that module.
    Module { instance: u32, index: u32 },
}
