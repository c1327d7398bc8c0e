//! Grids for more cubes than one axis allows, and the index of a cube or unit in them.

use cubecl::prelude::*;

/// Units per cube in kernels whose units work independently.
pub(super) const UNITS: usize = 128;

/// Returns a grid with a cube for each of `count` rows. An axis of a grid has at most 65,535 cubes.
pub(super) fn grid(count: usize) -> CubeCount {
    const MOST: usize = 65_535;
    let planes = count.div_ceil(MOST);
    CubeCount::Static(count.div_ceil(planes) as u32, planes as u32, 1)
}

/// Returns the index of this cube in a [`grid`].
#[cube]
pub(super) fn cube_in_grid() -> usize {
    (CUBE_POS_Y * CUBE_COUNT_X + CUBE_POS_X) as usize
}

/// Returns the index of this unit in a [`grid`] of cubes with [`UNITS`] units.
#[cube]
pub(super) fn unit_in_grid() -> usize {
    cube_in_grid() * UNITS + UNIT_POS as usize
}
