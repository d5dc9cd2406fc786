//! What is loaded is whole, frozen and readable again.

use std::os::fd::AsFd;

use aya_obj::generated::bpf_map_type;
use perimeter::backend::xdp::info::{self, read_info};
use perimeter::backend::xdp::maps::{MOST_WORDS, MapError, Shared, SharedMaps};
use perimeter::backend::xdp::program::{Enforcement, Program, TestRunError};
use perimeter::backend::xdp::sys::{self, MapSpec};
use perimeter::compile::compile;
use perimeter::tables::Image;
use perimeter_classifier::abi::{SETTINGS, name};

use crate::{edge, frames, may_load};

#[test]
fn the_record_comes_back_from_the_kernel() {
    if !may_load() {
        return;
    }
    let program = enforcing(true, &SharedMaps::create().unwrap());
    let id = program.describe().unwrap().id;
    assert_eq!(read_info(id).unwrap().as_ref(), Some(program.info()));
    assert_eq!(program.info().generation, 7);
    assert_eq!(read_info(u32::MAX).unwrap(), None);
}

#[test]
fn nobody_can_change_tables_or_record() {
    if !may_load() {
        return;
    }
    let program = enforcing(true, &SharedMaps::create().unwrap());
    let tables = sys::map_info(program.tables()).unwrap();
    let refused = sys::map_update(program.tables(), 0, &vec![0; tables.value_size as usize]);
    assert_eq!(refused.unwrap_err().raw_os_error(), Some(libc::EPERM));
    for id in program.describe().unwrap().maps {
        let map = sys::map_by_id(id).unwrap();
        if sys::map_info(map.as_fd()).unwrap().name == name::INFO {
            let refused = sys::map_update(map.as_fd(), 0, &info::to_bytes(program.info()));
            assert_eq!(refused.unwrap_err().raw_os_error(), Some(libc::EPERM));
        }
    }
}

#[test]
fn a_counters_map_of_another_size_is_refused() {
    if !may_load() {
        return;
    }
    let good = SharedMaps::create().unwrap();
    let mut maps = Shared::ALL.map(|shared| good.get(shared).try_clone_to_owned().unwrap());
    let kind = bpf_map_type::BPF_MAP_TYPE_ARRAY;
    let small = MapSpec { name: "small", kind, value_size: 16, entries: 1, flags: 0 };
    maps[Shared::Counters as usize] = sys::map_create(small).unwrap();
    let error = SharedMaps::from_fds(maps).unwrap_err();
    assert!(matches!(error, MapError::Layout { what: "cpu_counters", value_size: 16, .. }), "{error}");
}

#[test]
fn an_image_beyond_the_section_is_refused() {
    if !may_load() {
        return;
    }
    let image = Image { settings: [0; SETTINGS], words: vec![0; MOST_WORDS + 1] };
    let error = Program::private(&image).unwrap_err().to_string();
    assert_eq!(error, "an image of 67108865 words is more than the 67108864 (256 MiB) that a program takes");
}

#[test]
fn an_enforcing_program_gives_no_decisions() {
    if !may_load() {
        return;
    }
    let program = enforcing(true, &SharedMaps::create().unwrap());
    assert!(matches!(program.test_run(&frames::tcp4()), Err(TestRunError::NotPrivate)));
}

/// The rules of `edge::small`, counted in slot 32; drop reasons in the slots from 0 on.
pub(crate) fn enforcing(enforce: bool, counters: &SharedMaps) -> Program {
    let mut image = compile(&edge::uncounted(edge::small()), 0).unwrap();
    image.bind_slots(&[32]);
    let reason_slots = std::array::from_fn(|reason| reason as u32);
    let enforcement = Enforcement { generation: 7, policy: [9; 32], enforce, reason_slots };
    Program::load(&image, enforcement, counters).unwrap()
}
