//! The signature and the docstring of `NetConfig`, made from the table of settings.

macro_rules! python_default {
    (none) => {
        "None"
    };
    (false) => {
        "False"
    };
    ([]) => {
        "()"
    };
    ({ $($text:tt)* }) => {
        "..."
    };
    ($value:literal) => {
        stringify!($value)
    };
}

/// A keyword in the signature; nothing for a setting that only a policy file can have.
macro_rules! signature_part {
    (CertificateFiles $key:ident $default:tt) => {
        ""
    };
    ($kind:ident $key:ident $default:tt) => {
        concat!(", ", stringify!($key), "=", python_default!($default))
    };
}

/// A keyword in the docstring.
macro_rules! docstring_part {
    (CertificateFiles $key:ident $($doc:literal)+) => { "" };
    ($kind:ident $key:ident $($doc:literal)+) => {
        concat!("\n    ", stringify!($key), ":" $(, "\n       ", $doc)+)
    };
}

macro_rules! signature {
    ($($section:ident {$(
        $(#[doc = $doc:literal])+
        $key:ident($($getter:ident)?): $kind:ident$(<$item:ident>)? = $default:tt
        $(, unit $unit:literal)? $(, option $option:literal $(: $help:literal)?)?
        $(, add $add:ident)? $({ $($body:tt)* })?;
    )+})+) => {
        concat!("NetConfig(*" $($(, signature_part!($kind $key $default))+)+, ")\n--\n")
    };
}

macro_rules! keyword_docs {
    ($($section:ident {$(
        $(#[doc = $doc:literal])+
        $key:ident($($getter:ident)?): $kind:ident$(<$item:ident>)? = $default:tt
        $(, unit $unit:literal)? $(, option $option:literal $(: $help:literal)?)?
        $(, add $add:ident)? $({ $($body:tt)* })?;
    )+})+) => {
        concat!("Args:" $($(, docstring_part!($kind $key $($doc)+))+)+)
    };
}
