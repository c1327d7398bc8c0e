//! Grids of cubes for more places than an axis has, and which place is whose.

use cubecl::prelude::*;

/// Units of a cube whose units work each on its own.
pub(super) const UNITS: usize = 128;

/// Cubes for `count` rows. An axis of a grid ends at 65,535.
pub(super) fn grid(count: usize) -> CubeCount {
    const MOST: usize = 65_535;
    let planes = count.div_ceil(MOST);
    CubeCount::Static(count.div_ceil(planes) as u32, planes as u32, 1)
}

/// Which one of [`grid`]'s this cube does.
#[cube]
pub(super) fn cube_in_grid() -> usize {
    (CUBE_POS_Y * CUBE_COUNT_X + CUBE_POS_X) as usize
}

/// Which of [`grid`]'s units this is, in cubes of [`UNITS`].
#[cube]
pub(super) fn unit_in_grid() -> usize {
    cube_in_grid() * UNITS + UNIT_POS as usize
}
