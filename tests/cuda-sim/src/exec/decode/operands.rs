//! Converts operands (registers, constants, special registers and names) to slots.

use super::*;

impl Scope<'_, '_> {
    pub(super) fn operand<'s>(&self, s: &'s Statement, at: usize) -> Decoded<&'s Operand> {
        s.operands.get(at).ok_or_else(|| format!("operand {} is missing", at + 1))
    }

    pub(super) fn register(&self, reg: Reg) -> Slot3 {
        self.frame.registers[reg.0 as usize]
    }

    /// Returns an immediate as the bits of a type.
    pub(super) fn bits_of(imm: Imm, ty: Ty) -> u64 {
        match (imm, ty) {
            (Imm::Int(value), _) => value,
            (Imm::F32(bits), Ty::F64) => f64::from(f32::from_bits(bits)).to_bits(),
            (Imm::F32(bits), _) => u64::from(bits),
            (Imm::F64(bits), Ty::F32) => u64::from((f64::from_bits(bits) as f32).to_bits()),
            (Imm::F64(bits), _) => bits,
        }
    }

    /// Returns a source of up to 32 bits.
    pub(super) fn s32(&mut self, s: &Statement, at: usize, ty: Ty) -> Decoded<S32> {
        let operand = self.operand(s, at)?.clone();
        self.source32(&operand, ty)
    }

    pub(super) fn source32(&mut self, operand: &Operand, ty: Ty) -> Decoded<S32> {
        match self.source(operand, ty)? {
            Slot::Narrow(slot) => Ok(slot),
            Slot::Wide(_) => Err("a 64-bit register where 32 bits are needed".to_owned()),
        }
    }

    /// Returns a source of 64 bits.
    pub(super) fn s64(&mut self, s: &Statement, at: usize, ty: Ty) -> Decoded<S64> {
        let operand = self.operand(s, at)?.clone();
        match self.source(&operand, ty)? {
            Slot::Wide(slot) => Ok(slot),
            Slot::Narrow(_) => Err("a 32-bit register where 64 bits are needed".to_owned()),
        }
    }

    /// Returns a source of the type's width, or of its register's.
    pub(super) fn source(&mut self, operand: &Operand, ty: Ty) -> Decoded<Slot> {
        match operand {
            Operand::Reg(reg) => match self.register(*reg) {
                Slot3::Value(slot) => Ok(slot),
                Slot3::Pred(_) => Err("a predicate where a value is needed".to_owned()),
            },
            Operand::Imm(imm) => Ok(self.constant(Self::bits_of(*imm, ty), ty)),
            Operand::Special(name) => {
                let slot = self.special(name)?;
                Ok(Slot::Narrow(slot))
            }
            Operand::Symbol(name, offset) => {
                let place = self.place(name)?;
                Ok(self.constant(place.offset.wrapping_add_signed(*offset), ty))
            }
            other => Err(format!("{other:?} is not a value")),
        }
    }

    pub(super) fn constant(&mut self, bits: u64, ty: Ty) -> Slot {
        if ty.wide() {
            Slot::Wide(self.decoder.constant64(bits))
        } else {
            Slot::Narrow(self.decoder.constant32(bits as u32))
        }
    }

    pub(super) fn special(&mut self, name: &str) -> Decoded<S32> {
        let axis = |name: &str| ["x", "y", "z"].iter().position(|a| name.ends_with(a));
        let special = match name.split('.').next().unwrap_or_default() {
            "tid" => axis(name).map(Special::Thread),
            "ctaid" => axis(name).map(Special::Block),
            "ntid" => axis(name).map(Special::Threads),
            "nctaid" => axis(name).map(Special::Blocks),
            "laneid" => Some(Special::Lane),
            "warpid" => Some(Special::Warp),
            "nwarpid" => Some(Special::Warps),
            "lanemask_lt" => Some(Special::LanesBelow),
            "lanemask_le" => Some(Special::LanesUpTo),
            "lanemask_gt" => Some(Special::LanesAbove),
            "lanemask_ge" => Some(Special::LanesFrom),
            "lanemask_eq" => Some(Special::LaneBit),
            "dynamic_smem_size" => Some(Special::DynamicShared),
            "total_smem_size" => Some(Special::TotalShared),
            "smid" => Some(Special::Multiprocessor),
            // Each block is its own cluster.
            "cluster_ctaid" | "cluster_ctarank" | "gridid" => Some(Special::Zero),
            _ => None,
        };
        let special = special.ok_or_else(|| format!("the register %{name} is not known"))?;
        Ok(self.decoder.special(special))
    }

    pub(super) fn place(&self, name: &str) -> Decoded<Place> {
        if let Some(&place) = self.frame.names.get(name) {
            return Ok(place);
        }
        if let Some(&offset) = self.decoder.shared.get(name) {
            return Ok(Place { space: Space::Shared, offset });
        }
        if let Some(&offset) = self.decoder.globals.get(name) {
            return Ok(Place { space: Space::Global, offset });
        }
        Err(format!("{name} is not declared"))
    }

    /// Returns a predicate, and all ones if it is negated.
    pub(super) fn pred(&mut self, operand: &Operand) -> Decoded<(SPred, u32)> {
        match operand {
            Operand::Reg(reg) | Operand::NotReg(reg) => match self.register(*reg) {
                Slot3::Pred(slot) => {
                    Ok((slot, if matches!(operand, Operand::NotReg(_)) { u32::MAX } else { 0 }))
                }
                Slot3::Value(_) => Err("a value where a predicate is needed".to_owned()),
            },
            Operand::Imm(Imm::Int(value)) => {
                let slot = self.decoder.new_slot(Class::Pred);
                self.decoder.program.truths.push(slot);
                Ok((slot, if *value == 0 { u32::MAX } else { 0 }))
            }
            other => Err(format!("{other:?} is not a predicate")),
        }
    }

    /// Returns a destination.
    pub(super) fn target(&mut self, operand: &Operand, class: Class) -> Decoded<Slot3> {
        match operand {
            Operand::Reg(reg) => Ok(self.register(*reg)),
            Operand::Sink => Ok(self.decoder.slot_of(class)),
            other => Err(format!("{other:?} is not a register")),
        }
    }

    pub(super) fn d32(&mut self, s: &Statement, at: usize) -> Decoded<S32> {
        let operand = self.operand(s, at)?.clone();
        self.target32(&operand)
    }

    pub(super) fn target32(&mut self, operand: &Operand) -> Decoded<S32> {
        match self.target(operand, Class::B32)? {
            Slot3::Value(Slot::Narrow(slot)) => Ok(slot),
            _ => Err("the result needs a 32-bit register".to_owned()),
        }
    }

    pub(super) fn d64(&mut self, s: &Statement, at: usize) -> Decoded<S64> {
        let operand = self.operand(s, at)?.clone();
        match self.target(&operand, Class::B64)? {
            Slot3::Value(Slot::Wide(slot)) => Ok(slot),
            _ => Err("the result needs a 64-bit register".to_owned()),
        }
    }

    pub(super) fn target_pred(&mut self, operand: &Operand) -> Decoded<SPred> {
        match self.target(operand, Class::Pred)? {
            Slot3::Pred(slot) => Ok(slot),
            Slot3::Value(_) => Err("the result needs a predicate".to_owned()),
        }
    }

    /// Returns a destination of either width.
    pub(super) fn target_value(&mut self, operand: &Operand, ty: Ty) -> Decoded<Slot> {
        let class = if ty.wide() { Class::B64 } else { Class::B32 };
        match self.target(operand, class)? {
            Slot3::Value(slot) => Ok(slot),
            Slot3::Pred(_) => Err("the result needs a register".to_owned()),
        }
    }

    pub(super) fn un32(&mut self, s: &Statement, ty: Ty, f: Un32) -> Decoded<Op> {
        Ok(Op::Un32(f, self.d32(s, 0)?, self.s32(s, 1, ty)?))
    }

    pub(super) fn bin32(&mut self, s: &Statement, ty: Ty, f: Bin32) -> Decoded<Op> {
        Ok(Op::Bin32(f, self.d32(s, 0)?, self.s32(s, 1, ty)?, self.s32(s, 2, ty)?))
    }

    pub(super) fn tri32(&mut self, s: &Statement, ty: Ty, f: Tri32) -> Decoded<Op> {
        let d = self.d32(s, 0)?;
        Ok(Op::Tri32(f, d, self.s32(s, 1, ty)?, self.s32(s, 2, ty)?, self.s32(s, 3, ty)?))
    }

    pub(super) fn un64(&mut self, s: &Statement, ty: Ty, f: Un64) -> Decoded<Op> {
        Ok(Op::Un64(f, self.d64(s, 0)?, self.s64(s, 1, ty)?))
    }

    pub(super) fn bin64(&mut self, s: &Statement, ty: Ty, f: Bin64) -> Decoded<Op> {
        Ok(Op::Bin64(f, self.d64(s, 0)?, self.s64(s, 1, ty)?, self.s64(s, 2, ty)?))
    }

    pub(super) fn tri64(&mut self, s: &Statement, ty: Ty, f: Tri64) -> Decoded<Op> {
        let d = self.d64(s, 0)?;
        Ok(Op::Tri64(f, d, self.s64(s, 1, ty)?, self.s64(s, 2, ty)?, self.s64(s, 3, ty)?))
    }
}
