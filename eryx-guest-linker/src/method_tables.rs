//! The functions in a library's tables of methods (`PyMethodDef`) and attributes (`PyGetSetDef`)
//! that have fewer parameters than CPython passes.
//!
//! On other processors, such a function ignores what it does not take. WebAssembly ends the program
//! ("indirect call type mismatch"), and many extension modules in C have such functions behind a
//! cast to `PyCFunction`, above all those without arguments (`METH_NOARGS`).
//!
//! A library stores the addresses in its tables when it is started, with a function that `wasm-ld`
//! makes. It has no branches, so that its result is known without running it. A table is known by
//! what refers to it, or, where only code does, by its content. What is found decides which
//! functions of the library stand behind which words of its own memory, and nothing else.

use std::collections::{BTreeMap, HashMap};

use wasmparser::{FuncType, FunctionBody, Operator, ValType};

use crate::error::Rejection;
use crate::library::{ImportedGlobal, Library};
use crate::writer::GlobalValue;

/// The size of a pointer and of an `int`.
const WORD: u32 = 4;

/// The parameters of a `getter` and of a `setter`.
const GETTER: usize = 2;
const SETTER: usize = 3;

/// The most parameters that CPython passes to a function of a table.
pub(crate) const MAX_PARAMETERS: usize = 5;

/// A kind of table. The last entry has no name.
struct Kind {
    /// The size of an entry.
    entry: u32,
    /// The number in a `PyType_Slot`, which lies before the address of the table.
    slot: u32,
    /// From the name of a `PyTypeObject` to the address of the table.
    in_type: u32,
    /// From the name of a `PyModuleDef` to the address of the table.
    in_module: Option<u32>,
}

/// Tables of `PyMethodDef`: `Py_tp_methods`, `tp_methods`, `m_methods`.
const METHODS: Kind = Kind {
    entry: 4 * WORD,
    slot: 64,
    in_type: 26 * WORD,
    in_module: Some(3 * WORD),
};

/// Tables of `PyGetSetDef`: `Py_tp_getset`, `tp_getset`.
const ATTRIBUTES: Kind = Kind {
    entry: 5 * WORD,
    slot: 73,
    in_type: 28 * WORD,
    in_module: None,
};

/// From the start of a `PyTypeObject` to its name (`tp_name`), and from there to its flags.
const TYPE_NAME: u32 = 3 * WORD;
const TYPE_FLAGS: u32 = 18 * WORD;

/// From the start of a `PyModuleDef` to its name (`m_name`), and from there to its size (`m_size`).
const MODULE_NAME: u32 = 5 * WORD;
const MODULE_SIZE: u32 = 2 * WORD;

/// The longest name of a method or an attribute that is recognized, in bytes.
const NAME_BYTES: usize = 256;

/// Flags that do not change the parameters of a method: `METH_CLASS`, `METH_STATIC`,
/// `METH_COEXIST`.
const BINDING_FLAGS: u32 = 0x10 | 0x20 | 0x40;

/// A word in the memory that has the address of a function with too few parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ShortFunction {
    /// The address of the word.
    pub(crate) address: u32,
    /// The function of the library.
    pub(crate) function: u32,
    /// The number of parameters that CPython passes.
    pub(crate) parameters: usize,
}

/// A library in its place.
pub(crate) struct Memory<'l, 'a> {
    library: &'l Library<'a>,
    /// The data segments, by their addresses.
    segments: BTreeMap<u32, &'a [u8]>,
    /// What the library stores when it is started, by the address.
    stores: BTreeMap<u32, Value>,
    /// The functions of the library, by the entries of the table.
    functions: HashMap<u32, u32>,
}

/// A number that is known before the library is started.
#[derive(Debug, Clone, Copy)]
struct Value {
    number: u32,
    /// Whether it is an entry of the table, and not an address.
    is_slot: bool,
}

impl<'l, 'a> Memory<'l, 'a> {
    /// Returns the memory of `library`, whose function `relocate` stores addresses. `globals` has
    /// its imported globals, `bases` those that are the same in the whole library, and `functions`
    /// its functions by the entries of the table.
    pub(crate) fn new(
        library: &'l Library<'a>,
        relocate: u32,
        globals: &[GlobalValue],
        bases: &[Option<u32>],
        functions: HashMap<u32, u32>,
    ) -> Result<Self, Rejection> {
        let mut segments = BTreeMap::new();
        for segment in &library.data {
            if let wasmparser::DataKind::Active { offset_expr, .. } = &segment.kind {
                segments.insert(library.evaluate(offset_expr, bases)?, segment.data);
            }
        }
        let body = (relocate as usize)
            .checked_sub(library.imported_functions.len())
            .and_then(|index| library.bodies.get(index));
        let stores = match body {
            Some(body) => stores(library, body, globals)?.unwrap_or_default(),
            None => BTreeMap::new(),
        };
        Ok(Self {
            library,
            segments,
            stores,
            functions,
        })
    }

    /// Returns the functions in tables that have fewer parameters than CPython passes.
    pub(crate) fn short_functions(&self) -> Result<Vec<ShortFunction>, Rejection> {
        let mut found = BTreeMap::new();
        for (&address, value) in &self.stores {
            for kind in [METHODS, ATTRIBUTES] {
                if !value.is_slot && self.has_table(address, &kind) {
                    self.read_table(value.number, &kind, &mut found)?;
                }
            }
        }
        for &address in self.stores.keys() {
            if self.is_assigned_table(address)? {
                self.read_table(address, &METHODS, &mut found)?;
            }
        }
        Ok(found.into_values().flatten().collect())
    }

    /// Returns whether the values around `address` show that it has the address of a table.
    fn has_table(&self, address: u32, kind: &Kind) -> bool {
        let before = |distance| address.checked_sub(distance);
        let is_in_slot = before(WORD).is_some_and(|slot| self.has_number(slot, kind.slot));
        let is_in_type = || {
            let name = before(kind.in_type)?;
            let references = name.checked_sub(TYPE_NAME)?;
            let is_type = self.is_number(name + WORD)
                && self.is_number(name + 2 * WORD)
                && self.is_number(name + TYPE_FLAGS)
                && self.is_number(references)
                && self.word(references) != 0
                && self.has_name(name);
            Some(is_type)
        };
        let is_in_module = || {
            let name = before(kind.in_module?)?;
            let references = name.checked_sub(MODULE_NAME)?;
            let is_module = (1..5).all(|index| self.has_number(references + index * WORD, 0))
                && self.is_number(name + MODULE_SIZE)
                && self.is_number(references)
                && self.word(references) != 0
                && self.has_name(name);
            Some(is_module)
        };
        is_in_slot || is_in_type().unwrap_or(false) || is_in_module().unwrap_or(false)
    }

    /// Returns whether a table of methods begins at `address` whose address is nowhere in the data.
    ///
    /// Code of the library assigns it to a type (`type->tp_methods = methods`). The table is
    /// recognized by its content:
    ///
    /// - Each entry has a name, a function, flags that CPython knows, and perhaps documentation.
    /// - Zeros follow the last entry.
    /// - All functions have the types of methods.
    /// - No function has more parameters than CPython passes, and at least one has all of them.
    ///
    /// An entry is read for the first one of its table alone, so that the time is linear.
    fn is_assigned_table(&self, address: u32) -> Result<bool, Rejection> {
        let before = address.checked_sub(METHODS.entry);
        if before.is_some_and(|before| self.method(before).is_some()) {
            return Ok(false);
        }
        let mut entry = address;
        let mut has_all = false;
        while let Some((function, parameters)) = self.method(entry) {
            let ty = self.library.function_type(function)?;
            if ty.params().len() > parameters || !is_of_words(ty) {
                return Ok(false);
            }
            has_all |= ty.params().len() == parameters;
            entry += METHODS.entry;
        }
        let mut words = (entry..entry.saturating_add(METHODS.entry)).step_by(WORD as usize);
        Ok(has_all && words.all(|word| self.has_number(word, 0)))
    }

    /// Returns the function of a method and the parameters that CPython passes to it, if a
    /// `PyMethodDef` lies at `entry`.
    fn method(&self, entry: u32) -> Option<(u32, usize)> {
        entry.checked_add(METHODS.entry)?;
        let [function, flags, documentation] = [1, 2, 3].map(|index| entry + index * WORD);
        let has_documentation = match self.stores.get(&documentation) {
            Some(value) => !value.is_slot,
            None => self.word(documentation) == 0,
        };
        if !(self.has_name(entry) && self.is_number(flags) && has_documentation) {
            return None;
        }
        Some((self.function(function)?, parameters_of(self.word(flags))?))
    }

    /// Reads the table at `entry`.
    fn read_table(
        &self,
        mut entry: u32,
        kind: &Kind,
        found: &mut BTreeMap<u32, Option<ShortFunction>>,
    ) -> Result<(), Rejection> {
        // What was read has been read together with what follows it.
        while !found.contains_key(&entry) && self.has_name(entry) {
            let Some(next) = entry.checked_add(kind.entry) else {
                break;
            };
            found.insert(entry, None);
            let words: Vec<_> = (entry..next).step_by(WORD as usize).collect();
            match words[..] {
                [_, function, flags, _] if self.is_number(flags) => {
                    if let Some(parameters) = parameters_of(self.word(flags)) {
                        found.insert(function, self.short(function, parameters)?);
                    }
                }
                [_, getter, setter, _, _] => {
                    found.insert(getter, self.short(getter, GETTER)?);
                    found.insert(setter, self.short(setter, SETTER)?);
                }
                _ => break,
            }
            entry = next;
        }
        Ok(())
    }

    /// Returns the function at `address` if it has fewer parameters than these.
    fn short(&self, address: u32, parameters: usize) -> Result<Option<ShortFunction>, Rejection> {
        let Some(function) = self.function(address) else {
            return Ok(None);
        };
        let ty = self.library.function_type(function)?;
        let is_short = ty.params().len() < parameters && is_of_words(ty);
        Ok(is_short.then_some(ShortFunction {
            address,
            function,
            parameters,
        }))
    }

    /// Returns the function of the library whose entry of the table is stored at `address`.
    fn function(&self, address: u32) -> Option<u32> {
        let value = self.stores.get(&address).filter(|value| value.is_slot)?;
        self.functions.get(&value.number).copied()
    }

    /// Returns whether the address of a name is stored at `address`.
    fn has_name(&self, address: u32) -> bool {
        let Some(name) = self.stores.get(&address).filter(|value| !value.is_slot) else {
            return false;
        };
        let content = self.content(name.number);
        let content = content.get(..NAME_BYTES).unwrap_or(content);
        let length = content.iter().position(|byte| *byte == 0).unwrap_or(0);
        let is_character =
            |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | 0x80..);
        length > 0 && content.iter().take(length).all(is_character)
    }

    /// Returns whether a number lies at `address`, and no address.
    fn is_number(&self, address: u32) -> bool {
        !self.stores.contains_key(&address)
    }

    /// Returns whether this number lies at `address`.
    fn has_number(&self, address: u32, number: u32) -> bool {
        self.is_number(address) && self.word(address) == number
    }

    /// Returns the word of the data at `address`: zero where there is no data.
    fn word(&self, address: u32) -> u32 {
        let mut word = [0; WORD as usize];
        for (byte, content) in word.iter_mut().zip(self.content(address)) {
            *byte = *content;
        }
        u32::from_le_bytes(word)
    }

    /// Returns the data from `address` to the end of its segment.
    fn content(&self, address: u32) -> &'a [u8] {
        let segment = self.segments.range(..=address).next_back();
        segment
            .and_then(|(first, content)| content.get((address - first) as usize..))
            .unwrap_or_default()
    }
}

/// Returns whether a function takes pointers and numbers of their size, and returns one.
fn is_of_words(ty: &FuncType) -> bool {
    ty.params().iter().all(|ty| *ty == ValType::I32) && ty.results() == [ValType::I32]
}

/// Returns what a function stores, by the address, or `None` if it does more than that.
fn stores(
    library: &Library<'_>,
    body: &FunctionBody<'_>,
    globals: &[GlobalValue],
) -> Result<Option<BTreeMap<u32, Value>>, Rejection> {
    let mut stores = BTreeMap::new();
    let mut stack: Vec<Value> = Vec::new();
    for operator in body.get_operators_reader()? {
        match operator? {
            Operator::I32Const { value } => stack.push(Value {
                number: value.cast_unsigned(),
                is_slot: false,
            }),
            Operator::GlobalGet { global_index } => {
                let global = library.imported_globals.get(global_index as usize);
                let value = globals.get(global_index as usize);
                let (Some(global), Some(GlobalValue::Constant(number))) = (global, value) else {
                    return Ok(None);
                };
                stack.push(Value {
                    number: *number,
                    is_slot: matches!(
                        global,
                        ImportedGlobal::TableBase | ImportedGlobal::FunctionAddress(_)
                    ),
                });
            }
            Operator::I32Add => {
                let (Some(right), Some(left)) = (stack.pop(), stack.pop()) else {
                    return Ok(None);
                };
                stack.push(Value {
                    number: left.number.wrapping_add(right.number),
                    is_slot: left.is_slot || right.is_slot,
                });
            }
            Operator::I32Store { memarg } => {
                let (Some(value), Some(address)) = (stack.pop(), stack.pop()) else {
                    return Ok(None);
                };
                let offset = u32::try_from(memarg.offset).ok();
                let address = offset.and_then(|offset| address.number.checked_add(offset));
                let Some(address) = address else {
                    return Ok(None);
                };
                stores.insert(address, value);
            }
            Operator::End => {}
            _ => return Ok(None),
        }
    }
    Ok(Some(stores))
}

/// Returns the parameters that CPython passes to a method with these flags (`METH_VARARGS` and so
/// on), of which it allows no others.
fn parameters_of(flags: u32) -> Option<usize> {
    const VARARGS: u32 = 0x1;
    const KEYWORDS: u32 = 0x2;
    const NOARGS: u32 = 0x4;
    const O: u32 = 0x8;
    const FASTCALL: u32 = 0x80;
    const METHOD: u32 = 0x200;
    const VARARGS_KEYWORDS: u32 = VARARGS | KEYWORDS;
    const FASTCALL_KEYWORDS: u32 = FASTCALL | KEYWORDS;
    const METHOD_FASTCALL_KEYWORDS: u32 = METHOD | FASTCALL | KEYWORDS;
    match flags & !BINDING_FLAGS {
        VARARGS | NOARGS | O => Some(2),
        VARARGS_KEYWORDS | FASTCALL => Some(3),
        FASTCALL_KEYWORDS => Some(4),
        METHOD_FASTCALL_KEYWORDS => Some(MAX_PARAMETERS),
        _ => None,
    }
}
