//! Declaring types once, for Rust and for C: the macros here make a `repr(C)` type and a [`Declared`] of it, from which
//! the header is written.

/// How a type is called in C.
pub trait C {
    /// As it stands before the name of a variable, with the space between them if there must be one.
    fn name() -> String;
}

macro_rules! called {
    ($($type:ty = $name:literal),*) => {
        $(impl C for $type {
            fn name() -> String {
                $name.to_owned()
            }
        })*
    };
}
called!(u8 = "uint8_t ", i32 = "int32_t ", u32 = "uint32_t ", i64 = "int64_t ", u64 = "uint64_t ", usize = "size_t ");

impl<T: C> C for *const T {
    fn name() -> String {
        format!("const {}*", T::name())
    }
}

impl<T: C> C for *mut T {
    fn name() -> String {
        format!("{}*", T::name())
    }
}

/// What the header says of one type.
pub struct Declared {
    /// Its name in C.
    pub name: &'static str,
    /// Its comment, line by line.
    pub docs: &'static [&'static str],
    /// What it is.
    pub shape: Shape,
}

/// What a type is.
pub enum Shape {
    /// Nothing that C knows the inside of.
    Opaque,
    /// A number with names for some of its values: the type it is, and what they are called.
    Number(String, Vec<Value>),
    /// A structure: its size and its fields.
    Struct(usize, Vec<Field>),
    /// A function.
    Function(Signature),
}

/// A name for a number.
pub struct Value {
    /// As C knows it.
    pub name: &'static str,
    /// Its comment.
    pub docs: &'static [&'static str],
    /// The number.
    pub value: i64,
}

/// A field of a structure.
pub struct Field {
    /// As both languages know it.
    pub name: &'static str,
    /// Its comment.
    pub docs: &'static [&'static str],
    /// Bytes in front of it.
    pub offset: usize,
    /// What it holds.
    pub holds: Held,
}

/// What a field holds.
pub enum Held {
    /// A value of this type.
    Value(String),
    /// A pointer to a function.
    Function(Signature),
}

/// What a function takes and returns.
pub struct Signature {
    /// The type that it returns.
    pub returns: String,
    /// Type and name of each argument.
    pub takes: Vec<(String, &'static str)>,
}

/// Something that the header declares.
pub trait Declare {
    /// What the header says of it.
    fn declared() -> Declared;
}

/// A structure: fields, and after them pointers to functions, which are never null.
macro_rules! structure {
    (
        $(#[doc = $doc:literal])*
        $name:ident = $c:literal {
            $($(#[doc = $field_doc:literal])* $field:ident: $type:ty,)*
        }
        $(functions {
            $($(#[doc = $function_doc:literal])* $function:ident($($argument:ident: $takes:ty),*) -> $returns:ty;)*
        })?
    ) => {
        $(#[doc = $doc])*
        #[repr(C)]
        #[derive(Clone, Copy, Debug)]
        pub struct $name {
            $($(#[doc = $field_doc])* pub $field: $type,)*
            $($($(#[doc = $function_doc])* pub $function: unsafe extern "C" fn($($takes),*) -> $returns,)*)?
        }

        impl C for $name {
            fn name() -> String {
                concat!($c, " ").to_owned()
            }
        }

        impl Declare for $name {
            fn declared() -> Declared {
                let fields = vec![
                    $(Field {
                        name: stringify!($field),
                        docs: &[$($field_doc),*],
                        offset: std::mem::offset_of!($name, $field),
                        holds: Held::Value(<$type as C>::name()),
                    },)*
                    $($(Field {
                        name: stringify!($function),
                        docs: &[$($function_doc),*],
                        offset: std::mem::offset_of!($name, $function),
                        holds: Held::Function(Signature {
                            returns: <$returns as C>::name(),
                            takes: vec![$((<$takes as C>::name(), stringify!($argument))),*],
                        }),
                    },)*)?
                ];
                Declared { name: $c, docs: &[$($doc),*], shape: Shape::Struct(size_of::<$name>(), fields) }
            }
        }
    };
}

/// A number, of which some values have names: in C they begin with a prefix.
macro_rules! number {
    (
        $(#[doc = $doc:literal])*
        $name:ident($type:ty) = $c:literal, $prefix:literal {
            $($(#[doc = $value_doc:literal])* $value:ident = $number:literal,)*
        }
    ) => {
        $(#[doc = $doc])*
        #[repr(transparent)]
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        pub struct $name(pub $type);

        impl $name {
            $($(#[doc = $value_doc])* pub const $value: Self = Self($number);)*
        }

        impl C for $name {
            fn name() -> String {
                concat!($c, " ").to_owned()
            }
        }

        impl Declare for $name {
            fn declared() -> Declared {
                let values = vec![
                    $(Value {
                        name: concat!($prefix, stringify!($value)),
                        docs: &[$($value_doc),*],
                        value: $number,
                    },)*
                ];
                Declared { name: $c, docs: &[$($doc),*], shape: Shape::Number(<$type as C>::name(), values) }
            }
        }
    };
}

/// A type of functions.
macro_rules! function {
    (
        $(#[doc = $doc:literal])*
        $name:ident = $c:literal ($($argument:ident: $takes:ty),*) -> $returns:ty
    ) => {
        $(#[doc = $doc])*
        pub type $name = unsafe extern "C" fn($($argument: $takes),*) -> $returns;

        impl C for Option<$name> {
            fn name() -> String {
                concat!($c, " *").to_owned()
            }
        }

        impl Declare for $name {
            fn declared() -> Declared {
                let takes = vec![$((<$takes as C>::name(), stringify!($argument))),*];
                let signature = Signature { returns: <$returns as C>::name(), takes };
                Declared { name: $c, docs: &[$($doc),*], shape: Shape::Function(signature) }
            }
        }
    };
}

pub(crate) use {function, number, structure};
