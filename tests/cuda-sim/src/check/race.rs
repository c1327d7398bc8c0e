//! Detects races: two threads of a block that touch the same shared memory without synchronisation,
//! where at least one writes.
//!
//! Order is tracked as in FastTrack. Every warp has a clock, and knows for each other warp the
//! clock up to which everything happened before. A barrier of a block exchanges this knowledge
//! between its warps. `bar.warp.sync` advances a warp's own clock, which orders its lanes. For
//! every granule of shared memory the shadow keeps the last write and the reads since then.

/// Largest number of warps in a block.
const WARPS: usize = 32;

/// An access to a granule.
#[derive(Debug, Clone, Copy)]
pub struct Touch {
    /// Number of the warp in the block.
    pub warp: u32,
    /// Number of the lane in the warp.
    pub lane: u32,
    /// An atomic or volatile access: two such accesses do not race.
    pub strong: bool,
}

/// The earlier access of a race.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conflict {
    /// Number of the thread in the block that made the earlier access; `None` if several did.
    pub thread: Option<u32>,
    /// Whether the earlier access was a write.
    pub wrote: bool,
}

#[derive(Debug, Clone, Copy, Default)]
struct Cell {
    /// Clock of the last write; 0 if there was none.
    write_clock: u32,
    /// Clock of the reads since then; 0 if there were none.
    read_clock: u32,
    /// Warps that have read since then.
    readers: u32,
    /// Thread of the last write.
    writer: u16,
    /// Lane of the last read, or [`SEVERAL`].
    read_lane: u8,
    /// Bit 0: the write was strong. Bit 1: all reads were strong.
    strong: u8,
}

const SEVERAL: u8 = 0xff;

/// The shadow of one block's shared memory.
#[derive(Debug)]
pub struct RaceShadow {
    cells: Vec<Cell>,
    /// Base-2 logarithm of the granule size in bytes.
    shift: u32,
    /// `known[w][v]`: the clock of warp v up to which everything happened before what warp w does
    /// now.
    known: Box<[[u32; WARPS]; WARPS]>,
    warps: usize,
}

impl RaceShadow {
    /// Makes a shadow for `bytes` bytes, in granules of `1 << shift` bytes.
    pub fn new(bytes: usize, shift: u32, warps: usize) -> Self {
        let mut shadow = Self {
            cells: vec![Cell::default(); bytes.div_ceil(1 << shift)],
            shift,
            known: Box::new([[0; WARPS]; WARPS]),
            warps: warps.min(WARPS),
        };
        shadow.reset();
        shadow
    }

    /// Clears the shadow for a new block.
    pub fn reset(&mut self) {
        self.cells.fill(Cell::default());
        for (warp, known) in self.known.iter_mut().enumerate() {
            known.fill(0);
            known[warp] = 1;
        }
    }

    /// Orders the lanes of a warp: `bar.warp.sync`.
    pub fn sync_warp(&mut self, warp: usize) {
        self.known[warp][warp] += 1;
    }

    /// Orders these warps at a barrier. The waiting warps learn what all arrived warps know.
    pub fn barrier(&mut self, arrived: u32, waiting: u32) {
        let mut joined = [0; WARPS];
        for warp in (0..self.warps).filter(|w| arrived >> w & 1 == 1) {
            for (all, one) in joined.iter_mut().zip(&self.known[warp]) {
                *all = (*all).max(*one);
            }
        }
        for warp in 0..self.warps {
            if waiting >> warp & 1 == 1 {
                let own = self.known[warp][warp];
                for (mine, all) in self.known[warp].iter_mut().zip(&joined) {
                    *mine = (*mine).max(*all);
                }
                self.known[warp][warp] = own + 1;
            } else if arrived >> warp & 1 == 1 {
                self.known[warp][warp] += 1;
            }
        }
    }

    /// Advances the clock of a warp that has arrived without waiting, so that its later actions do
    /// not count as before the barrier.
    pub fn arrive(&mut self, warp: usize) -> [u32; WARPS] {
        let snapshot = self.known[warp];
        self.known[warp][warp] += 1;
        snapshot
    }

    /// Lets a warp learn everything in a snapshot of another warp.
    pub fn learn(&mut self, warp: usize, snapshot: &[u32; WARPS]) {
        for (mine, other) in self.known[warp].iter_mut().zip(snapshot) {
            *mine = (*mine).max(*other);
        }
    }

    fn ordered(&self, cell: &Cell, touch: Touch) -> bool {
        let writer_warp = u32::from(cell.writer) / 32;
        if cell.write_clock == 0 {
            return true;
        }
        let known = self.known[touch.warp as usize][writer_warp as usize];
        if writer_warp == touch.warp {
            return cell.write_clock < known || u32::from(cell.writer) % 32 == touch.lane;
        }
        cell.write_clock <= known
    }

    /// Records a read of the bytes from `at` on.
    #[inline]
    pub fn read(&mut self, at: usize, bytes: usize, touch: Touch) -> Result<(), Conflict> {
        let clock = self.known[touch.warp as usize][touch.warp as usize];
        for granule in at >> self.shift..=(at + bytes - 1) >> self.shift {
            let mut cell = self.cells[granule];
            // Already read by the same thread, or by several of the warp: a write in between would
            // have cleared this.
            let again = cell.readers == 1 << touch.warp && cell.read_clock == clock;
            let known = cell.read_lane == SEVERAL || cell.read_lane == touch.lane as u8;
            if again && known && !touch.strong {
                self.cells[granule].strong &= 1;
                continue;
            }
            let both_strong = touch.strong && cell.strong & 1 == 1;
            if !both_strong && !self.ordered(&cell, touch) {
                return Err(Conflict { thread: Some(u32::from(cell.writer)), wrote: true });
            }
            let fresh = cell.readers == 0 || self.reads_ordered(&cell, touch).is_ok();
            if fresh {
                cell.readers = 1 << touch.warp;
                cell.read_clock = clock;
                cell.read_lane = touch.lane as u8;
                cell.strong = cell.strong & 1 | u8::from(touch.strong) << 1;
            } else {
                let same = cell.readers == 1 << touch.warp && cell.read_lane == touch.lane as u8;
                cell.readers |= 1 << touch.warp;
                cell.read_clock = cell.read_clock.max(clock);
                if !same {
                    cell.read_lane = SEVERAL;
                }
                if !touch.strong {
                    cell.strong &= 1;
                }
            }
            self.cells[granule] = cell;
        }
        Ok(())
    }

    /// Checks that everything that has read a granule is ordered before this access.
    fn reads_ordered(&self, cell: &Cell, touch: Touch) -> Result<(), Conflict> {
        let known = &self.known[touch.warp as usize];
        let mut readers = cell.readers;
        while readers != 0 {
            let warp = readers.trailing_zeros();
            readers &= readers - 1;
            let before = if warp == touch.warp {
                cell.read_clock < known[warp as usize]
                    || cell.readers == 1 << warp && u32::from(cell.read_lane) == touch.lane
            } else {
                cell.read_clock <= known[warp as usize]
            };
            if !before {
                let one = cell.readers == 1 << warp && cell.read_lane != SEVERAL;
                let thread = one.then_some(warp * 32 + u32::from(cell.read_lane));
                return Err(Conflict { thread, wrote: false });
            }
        }
        Ok(())
    }

    /// Records a write of the bytes from `at` on. `same` means that the bytes do not change: two
    /// threads that write the same value do no harm.
    pub fn write(
        &mut self,
        at: usize,
        bytes: usize,
        touch: Touch,
        same: bool,
    ) -> Result<(), Conflict> {
        let clock = self.known[touch.warp as usize][touch.warp as usize];
        for granule in at >> self.shift..=(at + bytes - 1) >> self.shift {
            let cell = self.cells[granule];
            let both_strong = touch.strong && cell.strong & 1 == 1;
            if !same && !both_strong && !self.ordered(&cell, touch) {
                return Err(Conflict { thread: Some(u32::from(cell.writer)), wrote: true });
            }
            let all_strong = touch.strong && cell.strong & 2 == 2;
            if !same && !all_strong {
                self.reads_ordered(&cell, touch)?;
            }
            self.cells[granule] = Cell {
                write_clock: clock,
                writer: (touch.warp * 32 + touch.lane) as u16,
                strong: u8::from(touch.strong),
                ..Cell::default()
            };
        }
        Ok(())
    }
}
