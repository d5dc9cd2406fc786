//! libnftnl's objects, owned.
//!
//! Promises: each object is freed once, or belongs to the one it was added to; no pointer leaves this file but to be written as
//! a message.

use std::ffi::{CString, c_void};
use std::ptr::NonNull;

use nftnl::nftnl_sys::{self as sys, libc};

/// Declares an owner of one kind of object.
macro_rules! owner {
    ($(#[$about:meta])* $name:ident, $raw:ty, $alloc:path, $free:path) => {
        $(#[$about])*
        pub(super) struct $name(NonNull<$raw>);

        impl $name {
            pub(super) fn new() -> $name {
                // SAFETY: the allocator takes no arguments; a null pointer is caught.
                let pointer = unsafe { $alloc() };
                $name(NonNull::new(pointer).expect("libnftnl allocates a few bytes, or the process is lost"))
            }

            pub(super) fn as_ptr(&self) -> *mut $raw {
                self.0.as_ptr()
            }
        }

        impl Drop for $name {
            fn drop(&mut self) {
                // SAFETY: the pointer came from the allocator, is owned by this value and is not used again.
                unsafe { $free(self.0.as_ptr()) }
            }
        }
    };
}

owner!(
    /// A table.
    Table, sys::nftnl_table, sys::nftnl_table_alloc, sys::nftnl_table_free
);
owner!(
    /// A chain.
    Chain, sys::nftnl_chain, sys::nftnl_chain_alloc, sys::nftnl_chain_free
);
owner!(
    /// A rule.
    Rule, sys::nftnl_rule, sys::nftnl_rule_alloc, sys::nftnl_rule_free
);
owner!(
    /// A set with elements.
    Set, sys::nftnl_set, sys::nftnl_set_alloc, sys::nftnl_set_free
);
owner!(
    /// A named counter.
    Object, sys::nftnl_obj, sys::nftnl_obj_alloc, sys::nftnl_obj_free
);

/// A name for C. Names are made by `names` and hold no zero byte.
pub(super) fn c_string(text: &str) -> CString {
    CString::new(text.replace('\0', "")).unwrap_or_default()
}

impl Table {
    pub(super) fn text(&self, attribute: u32, text: &str) {
        // SAFETY: the table is live, the string ends with a zero byte and is copied.
        unsafe { sys::nftnl_table_set_str(self.as_ptr(), attribute as u16, c_string(text).as_ptr()) };
    }

    pub(super) fn number(&self, attribute: u32, number: u32) {
        // SAFETY: the table is live.
        unsafe { sys::nftnl_table_set_u32(self.as_ptr(), attribute as u16, number) };
    }
}

impl Chain {
    pub(super) fn text(&self, attribute: u32, text: &str) {
        // SAFETY: the chain is live, the string ends with a zero byte and is copied.
        unsafe { sys::nftnl_chain_set_str(self.as_ptr(), attribute as u16, c_string(text).as_ptr()) };
    }

    pub(super) fn number(&self, attribute: u32, number: u32) {
        // SAFETY: the chain is live.
        unsafe { sys::nftnl_chain_set_u32(self.as_ptr(), attribute as u16, number) };
    }

    pub(super) fn signed(&self, attribute: u32, number: i32) {
        // SAFETY: the chain is live.
        unsafe { sys::nftnl_chain_set_s32(self.as_ptr(), attribute as u16, number) };
    }
}

impl Rule {
    pub(super) fn text(&self, attribute: u32, text: &str) {
        // SAFETY: the rule is live, the string ends with a zero byte and is copied.
        unsafe { sys::nftnl_rule_set_str(self.as_ptr(), attribute as u16, c_string(text).as_ptr()) };
    }

    pub(super) fn bytes(&self, attribute: u32, bytes: &[u8]) {
        // SAFETY: the rule is live; the bytes are copied, as many as there are.
        unsafe {
            sys::nftnl_rule_set_data(
                self.as_ptr(),
                attribute as u16,
                bytes.as_ptr().cast::<c_void>(),
                bytes.len() as u32,
            )
        };
    }

    /// Adds an expression; the rule owns it from now on.
    pub(super) fn add(&self, expression: Expression) {
        // SAFETY: both are live; an expression frees nothing when it is dropped, so that only the rule does.
        unsafe { sys::nftnl_rule_add_expr(self.as_ptr(), expression.0.as_ptr()) };
    }
}

impl Set {
    pub(super) fn text(&self, attribute: u32, text: &str) {
        // SAFETY: the set is live, the string ends with a zero byte and is copied.
        unsafe { sys::nftnl_set_set_str(self.as_ptr(), attribute as u16, c_string(text).as_ptr()) };
    }

    pub(super) fn number(&self, attribute: u32, number: u32) {
        // SAFETY: the set is live.
        unsafe { sys::nftnl_set_set_u32(self.as_ptr(), attribute as u16, number) };
    }

    pub(super) fn bytes(&self, attribute: u32, bytes: &[u8]) {
        // SAFETY: the set is live; the bytes are copied, as many as there are.
        unsafe {
            sys::nftnl_set_set_data(
                self.as_ptr(),
                attribute as u16,
                bytes.as_ptr().cast::<c_void>(),
                bytes.len() as u32,
            )
        };
    }

    /// Adds an element; the set owns it from now on.
    pub(super) fn add(&self, element: SetElement) {
        // SAFETY: both are live; an element frees nothing when it is dropped, so that only the set does.
        unsafe { sys::nftnl_set_elem_add(self.as_ptr(), element.0.as_ptr()) };
    }
}

impl Object {
    pub(super) fn text(&self, attribute: u32, text: &str) {
        // SAFETY: the object is live, the string ends with a zero byte and is copied.
        unsafe { sys::nftnl_obj_set_str(self.as_ptr(), attribute as u16, c_string(text).as_ptr()) };
    }

    pub(super) fn number(&self, attribute: u32, number: u32) {
        // SAFETY: the object is live.
        unsafe { sys::nftnl_obj_set_u32(self.as_ptr(), attribute as u16, number) };
    }
}

/// An element that belongs to no set yet.
pub(super) struct SetElement(NonNull<sys::nftnl_set_elem>);

impl SetElement {
    pub(super) fn new() -> SetElement {
        // SAFETY: the allocator takes no arguments; a null pointer is caught.
        let pointer = unsafe { sys::nftnl_set_elem_alloc() };
        SetElement(NonNull::new(pointer).expect("libnftnl allocates a few bytes, or the process is lost"))
    }

    pub(super) fn bytes(&self, attribute: u32, bytes: &[u8]) {
        // SAFETY: the element is live; the bytes are copied, as many as there are.
        unsafe {
            sys::nftnl_set_elem_set(
                self.0.as_ptr(),
                attribute as u16,
                bytes.as_ptr().cast::<c_void>(),
                bytes.len() as u32,
            )
        };
    }

    pub(super) fn number(&self, attribute: u32, number: u32) {
        // SAFETY: the element is live.
        unsafe { sys::nftnl_set_elem_set_u32(self.0.as_ptr(), attribute as u16, number) };
    }

    pub(super) fn text(&self, attribute: u32, text: &str) {
        // SAFETY: the element is live, the string ends with a zero byte and is copied.
        unsafe { sys::nftnl_set_elem_set_str(self.0.as_ptr(), attribute as u16, c_string(text).as_ptr()) };
    }
}

/// An expression that belongs to no rule yet.
pub(super) struct Expression(NonNull<sys::nftnl_expr>);

impl Expression {
    /// An expression of a kind that libnftnl knows.
    pub(super) fn new(kind: &'static std::ffi::CStr) -> Expression {
        // SAFETY: the name is a C string; a null pointer is caught.
        let pointer = unsafe { sys::nftnl_expr_alloc(kind.as_ptr()) };
        Expression(NonNull::new(pointer).expect("libnftnl 1.2.4 knows this kind of expression"))
    }

    pub(super) fn number(self, attribute: u32, number: u32) -> Expression {
        // SAFETY: the expression is live.
        unsafe { sys::nftnl_expr_set_u32(self.0.as_ptr(), attribute as u16, number) };
        self
    }

    pub(super) fn wide(self, attribute: u32, number: u64) -> Expression {
        // SAFETY: the expression is live.
        unsafe { sys::nftnl_expr_set_u64(self.0.as_ptr(), attribute as u16, number) };
        self
    }

    pub(super) fn short(self, attribute: u32, number: u16) -> Expression {
        // SAFETY: the expression is live.
        unsafe { sys::nftnl_expr_set_u16(self.0.as_ptr(), attribute as u16, number) };
        self
    }

    pub(super) fn bytes(self, attribute: u32, bytes: &[u8]) -> Expression {
        // SAFETY: the expression is live; the bytes are copied, as many as there are.
        unsafe {
            sys::nftnl_expr_set(
                self.0.as_ptr(),
                attribute as u16,
                bytes.as_ptr().cast::<c_void>(),
                bytes.len() as u32,
            )
        };
        self
    }

    pub(super) fn text(self, attribute: u32, text: &str) -> Expression {
        // SAFETY: the expression is live, the string ends with a zero byte and is copied.
        unsafe { sys::nftnl_expr_set_str(self.0.as_ptr(), attribute as u16, c_string(text).as_ptr()) };
        self
    }
}

/// Writes the header of a message into `buffer`.
///
/// # Safety
/// `buffer` has room for the largest message ([`nftnl::nft_nlmsg_maxsize`]).
pub(super) unsafe fn header(
    buffer: *mut c_void,
    kind: u16,
    flags: u16,
    sequence: u32,
) -> *mut libc::nlmsghdr {
    let family = libc::NFPROTO_NETDEV as u16;
    // SAFETY: the caller vouches for the buffer.
    unsafe { sys::nftnl_nlmsg_build_hdr(buffer.cast(), kind, family, flags, sequence) }
}
