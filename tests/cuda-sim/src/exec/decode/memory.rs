//! Loads, stores, atomic operations and asynchronous copies.

use std::ops::Range;

use super::*;

impl Scope<'_, '_> {
    /// Returns an address in a state space; a symbol determines the space.
    pub(super) fn address(&mut self, operand: &Operand, space: Space) -> Decoded<Address> {
        let Operand::Address(base, offset) = operand else {
            return Err(format!("{operand:?} is not an address"));
        };
        let offset = *offset as u64;
        match base.as_ref() {
            Operand::Symbol(name, _) => {
                let place = self.place(name)?;
                let space = place.space;
                Ok(Address { space, base: None, offset: place.offset.wrapping_add(offset) })
            }
            Operand::Imm(Imm::Int(value)) => {
                Ok(Address { space, base: None, offset: value.wrapping_add(offset) })
            }
            other => {
                let base = Some(self.source(other, Ty::B64)?);
                Ok(Address { space, base, offset })
            }
        }
    }

    /// Records the smallest access to shared memory, for the race shadow.
    fn note(&mut self, space: Space, width: usize) {
        if matches!(space, Space::Shared | Space::Generic) {
            self.decoder.smallest = self.decoder.smallest.min(width);
        }
    }

    fn space(m: &mut Mods<'_>) -> Space {
        m.one_of(&[
            ("global", Space::Global),
            ("const", Space::Global),
            ("shared", Space::Shared),
            ("shared::cta", Space::Shared),
            ("local", Space::Local),
            ("param", Space::Param),
            ("param::entry", Space::Param),
            ("param::func", Space::Param),
        ])
        .unwrap_or(Space::Generic)
    }

    /// Consumes the cache modifiers of an access, which have no effect here. Returns whether the
    /// access is strong.
    fn caching(m: &mut Mods<'_>) -> bool {
        for name in [
            "ca",
            "cg",
            "cs",
            "cv",
            "lu",
            "wb",
            "wt",
            "nc",
            "L1::evict_normal",
            "L1::evict_last",
            "L1::evict_first",
            "L1::no_allocate",
            "L2::64B",
            "L2::128B",
            "L2::256B",
            "weak",
            "unified",
        ] {
            m.has(name);
        }
        let scoped = m.has("cta") | m.has("gpu") | m.has("sys") | m.has("cluster");
        let ordered = m.has("volatile") | m.has("relaxed") | m.has("acquire") | m.has("release");
        scoped | ordered
    }

    pub(super) fn access(&mut self, base: &str, m: &mut Mods<'_>, s: &Statement) -> Decoded<Op> {
        let space = Self::space(m);
        let strong = Self::caching(m);
        let count = m.one_of(&[("v2", 2), ("v4", 4), ("v8", 8)]).unwrap_or(1);
        let ty = m.ty()?;
        let load = base != "st";
        let (value, address) = if load { (0, 1) } else { (1, 0) };
        let value = self.operand(s, value)?.clone();
        let address = self.address(&self.operand(s, address)?.clone(), space)?;
        let parts = match &value {
            Operand::Vector(parts) => parts.clone(),
            one => vec![one.clone()],
        };
        if parts.len() != count {
            return Err(format!("{} registers for {count} elements", parts.len()));
        }
        let mut registers = Vec::new();
        for part in &parts {
            registers.push(if load {
                self.target_value(part, ty)?
            } else {
                self.source(part, ty)?
            });
        }
        let width = ty.bytes();
        let used = used_ranges(s.used_bytes, width * count)?;
        for range in &used {
            // The largest power of two that divides both the start and the length of the range.
            self.note(address.space, 1 << (range.start | range.len()).trailing_zeros());
        }
        let access = Access { address, width, registers, used, signed: ty.signed(), strong };
        Ok(if load { Op::Load(Box::new(access)) } else { Op::Store(Box::new(access)) })
    }

    pub(super) fn atomic(&mut self, base: &str, m: &mut Mods<'_>, s: &Statement) -> Decoded<Op> {
        let space = Self::space(m);
        for name in ["relaxed", "acquire", "release", "acq_rel", "cta", "gpu", "sys", "noftz"] {
            m.has(name);
        }
        let op = m.one_of(&[
            ("add", AtomicOp::Add),
            ("min", AtomicOp::Min),
            ("max", AtomicOp::Max),
            ("and", AtomicOp::And),
            ("or", AtomicOp::Or),
            ("xor", AtomicOp::Xor),
            ("exch", AtomicOp::Exchange),
            ("cas", AtomicOp::CompareExchange),
            ("inc", AtomicOp::Increment),
            ("dec", AtomicOp::Decrement),
        ]);
        let op = op.ok_or("this atomic operation is not known")?;
        let ty = m.ty()?;
        let kind = match ty {
            Ty::U32 | Ty::B32 => AtomicType::U32,
            Ty::S32 => AtomicType::S32,
            Ty::F32 => AtomicType::F32,
            Ty::F16 => AtomicType::F16,
            Ty::F16x2 => AtomicType::F16x2,
            Ty::Bf16 => AtomicType::Bf16,
            Ty::Bf16x2 => AtomicType::Bf16x2,
            Ty::B16 => AtomicType::B16,
            Ty::U64 | Ty::B64 => AtomicType::U64,
            Ty::S64 => AtomicType::S64,
            Ty::F64 => AtomicType::F64,
            _ => return Err("an atomic operation of this type".to_owned()),
        };
        let first = usize::from(base == "atom");
        let result = match base {
            "atom" => match self.operand(s, 0)?.clone() {
                Operand::Sink => None,
                operand => Some(self.target_value(&operand, ty)?),
            },
            _ => None,
        };
        let address = self.address(&self.operand(s, first)?.clone(), space)?;
        let b = self.source(&self.operand(s, first + 1)?.clone(), ty)?;
        let c = match op {
            AtomicOp::CompareExchange => {
                Some(self.source(&self.operand(s, first + 2)?.clone(), ty)?)
            }
            _ => None,
        };
        self.note(address.space, ty.bytes());
        Ok(Op::Atomic(Box::new(Atomic { address, op, ty: kind, result, b, c })))
    }

    /// Decodes `cp.async`.
    pub(super) fn copy(&mut self, m: &mut Mods<'_>, s: &Statement) -> Decoded<Op> {
        if !m.has("async") {
            return Err("this copy is not known".to_owned());
        }
        if m.has("bulk") {
            return self.copy_bulk(m, s);
        }
        if m.has("mbarrier") {
            return self.copy_arrive(m, s);
        }
        if m.has("commit_group") {
            return Ok(Op::CopyCommit);
        }
        if m.has("wait_all") {
            return Ok(Op::CopyWait(0));
        }
        if m.has("wait_group") {
            let Operand::Imm(Imm::Int(groups)) = self.operand(s, 0)? else {
                return Err("a wait for a number of groups that is not a constant".to_owned());
            };
            return Ok(Op::CopyWait(*groups as u32));
        }
        for name in ["ca", "cg", "L2::64B", "L2::128B", "L2::256B", "global"] {
            m.has(name);
        }
        if !(m.has("shared") | m.has("shared::cta")) {
            return Err("this copy is not known".to_owned());
        }
        let to = self.address(&self.operand(s, 0)?.clone(), Space::Shared)?;
        let from = self.address(&self.operand(s, 1)?.clone(), Space::Global)?;
        let Operand::Imm(Imm::Int(size)) = self.operand(s, 2)? else {
            return Err("a copy whose size is not a constant".to_owned());
        };
        let size = *size as usize;
        let (mut read, mut ignore) = (None, None);
        match s.operands.get(3).cloned() {
            None => {}
            Some(Operand::Reg(reg)) if matches!(self.register(reg), Slot3::Pred(_)) => {
                ignore = Some(self.pred(&Operand::Reg(reg))?.0);
            }
            Some(operand) => read = Some(self.source32(&operand, Ty::U32)?),
        }
        if s.operands.len() > 4 {
            return Err("a copy with a cache policy".to_owned());
        }
        self.note(Space::Shared, size);
        Ok(Op::CopyAsync(Box::new(CopyAsync { to, from, size, read, ignore })))
    }

    /// Returns the address of a matrix.
    pub(super) fn matrix_address(
        &mut self,
        s: &Statement,
        at: usize,
        space: Space,
    ) -> Decoded<Address> {
        self.address(&self.operand(s, at)?.clone(), space)
    }

    pub(super) fn space_of(m: &mut Mods<'_>) -> Space {
        Self::space(m)
    }

    pub(super) fn note_shared(&mut self, space: Space, width: usize) {
        self.note(space, width);
    }
}

/// Returns the ranges of bytes in a mask; all bytes if there is no mask.
fn used_ranges(mask: Option<u64>, bytes: usize) -> Decoded<Vec<Range<usize>>> {
    let all = u64::MAX >> (64 - bytes);
    let mask = mask.unwrap_or(all);
    if mask == 0 || mask & !all != 0 {
        return Err(format!("a mask of used bytes, {mask:#x}, for a load of {bytes}"));
    }
    let is_used = |at: usize| at < bytes && mask >> at & 1 == 1;
    let starts = (0..bytes).filter(|&at| is_used(at) && (at == 0 || !is_used(at - 1)));
    Ok(starts.map(|start| start..(start..).find(|&at| !is_used(at)).unwrap_or(bytes)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::single_range_in_vec_init)] // A list of one range is meant.
    fn masks_of_bytes_become_ranges() {
        assert_eq!(used_ranges(None, 16).unwrap(), [0..16]);
        assert_eq!(used_ranges(Some(4095), 16).unwrap(), [0..12]);
        assert_eq!(used_ranges(Some(0xf0f0), 16).unwrap(), [4..8, 12..16]);
        assert_eq!(used_ranges(Some(u64::MAX), 64).unwrap(), [0..64]);
        assert!(used_ranges(Some(0x1_0000), 16).is_err());
        assert!(used_ranges(Some(0), 16).is_err());
    }
}
