//! What a library passes to the functions of the host, as values of ours.

use fingerpost_native::abi::{self, Level, Style};

use super::host::Misuse;
use crate::plugin::wasm::contract::types::BrokerAddress;

/// A value that a library passes.
pub(super) trait Argument: Sized {
    /// What crosses.
    type Raw;

    /// Takes it.
    ///
    /// # Safety
    /// What it points to is what the header of the ABI says, until the value that this returns is dropped.
    unsafe fn take(raw: Self::Raw) -> Result<Self, Misuse>;
}

/// Bytes that need not be text.
pub(super) struct Blob(pub(super) Vec<u8>);

/// A place for a result.
pub(super) struct Out<T>(*mut T);

impl<T> Out<T> {
    pub(super) fn set(self, value: T) {
        // SAFETY: whoever took it said that it points to a place for one of these.
        unsafe { self.0.write(value) }
    }
}

macro_rules! as_it_is {
    ($($type:ty),*) => {
        $(impl Argument for $type {
            type Raw = Self;

            unsafe fn take(raw: Self) -> Result<Self, Misuse> {
                Ok(raw)
            }
        })*
    };
}
as_it_is!(i32, u32, i64, Level, Style);

impl<T> Argument for Out<T> {
    type Raw = *mut T;

    unsafe fn take(raw: *mut T) -> Result<Self, Misuse> {
        if raw.is_null() { Err("the place for the result is null".into()) } else { Ok(Self(raw)) }
    }
}

impl Argument for Blob {
    type Raw = abi::Bytes;

    unsafe fn take(raw: abi::Bytes) -> Result<Self, Misuse> {
        // SAFETY: as for this function.
        unsafe { array(raw.data, raw.size) }.map(|bytes| Self(bytes.to_vec()))
    }
}

impl Argument for String {
    type Raw = abi::Bytes;

    unsafe fn take(raw: abi::Bytes) -> Result<Self, Misuse> {
        // SAFETY: as for this function.
        let bytes = unsafe { array(raw.data, raw.size) }?;
        let text = std::str::from_utf8(bytes).map_err(|error| format!("a text is not UTF-8: {error}"))?;
        Ok(text.to_owned())
    }
}

impl Argument for Option<String> {
    type Raw = abi::Bytes;

    unsafe fn take(raw: abi::Bytes) -> Result<Self, Misuse> {
        if raw.data.is_null() {
            return Ok(None);
        }
        // SAFETY: as for this function.
        unsafe { String::take(raw) }.map(Some)
    }
}

impl Argument for Vec<u32> {
    type Raw = abi::Indices;

    unsafe fn take(raw: abi::Indices) -> Result<Self, Misuse> {
        // SAFETY: as for this function.
        unsafe { array(raw.items, raw.count) }.map(<[u32]>::to_vec)
    }
}

impl Argument for Vec<BrokerAddress> {
    type Raw = abi::Addresses;

    unsafe fn take(raw: abi::Addresses) -> Result<Self, Misuse> {
        // SAFETY: as for this function.
        let addresses = unsafe { array(raw.items, raw.count) }?;
        let address = |one: &abi::Address| {
            // SAFETY: as for this function.
            let address = unsafe { String::take(one.address) }?;
            Ok(BrokerAddress { broker_id: one.broker_id, address })
        };
        addresses.iter().map(address).collect()
    }
}

/// An array; where there are no items, a null will do.
///
/// # Safety
/// So many are there, for as long as `'a`.
unsafe fn array<'a, T>(items: *const T, count: usize) -> Result<&'a [T], Misuse> {
    match (items.is_null(), count) {
        (true, 0) => Ok(&[]),
        (true, count) => Err(format!("{count} items at null").into()),
        // SAFETY: the caller says so.
        (false, count) => Ok(unsafe { std::slice::from_raw_parts(items, count) }),
    }
}
