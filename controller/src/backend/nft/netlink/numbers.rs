//! Numbers of `linux/netfilter/nf_tables.h` that the `libc` crate lacks.

pub(in crate::backend::nft) const TABLE_NAME: i32 = 1;
pub(in crate::backend::nft) const TABLE_FLAGS: i32 = 2;
pub(in crate::backend::nft) const TABLE_HANDLE: i32 = 4;
pub(in crate::backend::nft) const CHAIN_TABLE: i32 = 1;
pub(in crate::backend::nft) const CHAIN_NAME: i32 = 3;
pub(in crate::backend::nft) const CHAIN_HOOK: i32 = 4;
pub(in crate::backend::nft) const CHAIN_POLICY: i32 = 5;
pub(in crate::backend::nft) const CHAIN_FLAGS: i32 = 10;
pub(in crate::backend::nft) const HOOK_NUMBER: i32 = 1;
pub(in crate::backend::nft) const HOOK_PRIORITY: i32 = 2;
pub(in crate::backend::nft) const HOOK_DEV: i32 = 3;
pub(in crate::backend::nft) const HOOK_DEVS: i32 = 4;
pub(in crate::backend::nft) const DEVICE_NAME: i32 = 1;
/// `NFTA_DEVICE_PREFIX`: every device whose name begins so.
pub(in crate::backend::nft) const DEVICE_PREFIX: i32 = 2;
pub(in crate::backend::nft) const RULE_TABLE: i32 = 1;
pub(in crate::backend::nft) const RULE_CHAIN: i32 = 2;
pub(in crate::backend::nft) const RULE_EXPRESSIONS: i32 = 4;
pub(in crate::backend::nft) const RULE_USERDATA: i32 = 7;
pub(in crate::backend::nft) const SET_TABLE: i32 = 1;
pub(in crate::backend::nft) const SET_NAME: i32 = 2;
pub(in crate::backend::nft) const OBJECT_TABLE: i32 = 1;
pub(in crate::backend::nft) const OBJECT_NAME: i32 = 2;
pub(in crate::backend::nft) const OBJECT_TYPE: i32 = 3;
pub(in crate::backend::nft) const OBJECT_DATA: i32 = 4;
pub(in crate::backend::nft) const COUNTER_BYTES: i32 = 1;
pub(in crate::backend::nft) const COUNTER_PACKETS: i32 = 2;
/// `NFT_META_TIME_NS`, Linux 5.4.
pub(in crate::backend::nft) const META_TIME: i32 = 30;
/// Types and flags.
pub(in crate::backend::nft) const TABLE_DORMANT: u32 = 1;
pub(in crate::backend::nft) const CHAIN_OFFLOADED: u32 = 2;
pub(in crate::backend::nft) const COUNTER_OBJECT: u32 = 1;
pub(in crate::backend::nft) const SET_OBJECTS: u32 = 0x40;
pub(in crate::backend::nft) const SET_CONCATENATION: u32 = 0x80;
pub(in crate::backend::nft) const ELEMENTS_TABLE: i32 = 1;
pub(in crate::backend::nft) const ELEMENTS_SET: i32 = 2;
pub(in crate::backend::nft) const ELEMENTS: i32 = 3;
pub(in crate::backend::nft) const ELEMENT_KEY: i32 = 1;
pub(in crate::backend::nft) const ELEMENT_DATA: i32 = 2;
pub(in crate::backend::nft) const ELEMENT_COUNTER: i32 = 9;
pub(in crate::backend::nft) const ELEMENT_KEY_END: i32 = 10;
pub(in crate::backend::nft) const DATA_VALUE: i32 = 1;
pub(in crate::backend::nft) const DATA_VERDICT: i32 = 2;
pub(in crate::backend::nft) const VERDICT_CODE: i32 = 1;
pub(in crate::backend::nft) const VERDICT_CHAIN: i32 = 2;
pub(in crate::backend::nft) const EXPRESSION_NAME: i32 = 1;
pub(in crate::backend::nft) const EXPRESSION_DATA: i32 = 2;
