//! `mbarrier`: barriers that are objects in shared memory, and the copies that arrive at them.

use super::*;

impl Scope<'_, '_> {
    pub(super) fn mbarrier(&mut self, m: &mut Mods<'_>, s: &Statement) -> Decoded<Op> {
        let expect = m.has("expect_tx");
        let parity = m.has("parity");
        let kind = match m.one_of(&[
            ("init", MBarrierKind::Init),
            ("inval", MBarrierKind::Invalidate),
            ("arrive", MBarrierKind::Arrive),
            ("test_wait", MBarrierKind::Wait { parity }),
            ("try_wait", MBarrierKind::Wait { parity }),
        ]) {
            Some(MBarrierKind::Arrive) if expect => MBarrierKind::ArriveExpect,
            Some(kind) => kind,
            None if expect => MBarrierKind::Expect,
            None => return Err("this mbarrier instruction is not known".to_owned()),
        };
        for name in ["release", "acquire", "relaxed", "cta", "b64"] {
            m.has(name);
        }
        if !(m.has("shared") | m.has("shared::cta")) {
            return Err("an mbarrier outside the block's shared memory".to_owned());
        }
        let has_result = matches!(
            kind,
            MBarrierKind::Arrive | MBarrierKind::ArriveExpect | MBarrierKind::Wait { .. }
        );
        let at = usize::from(has_result);
        let address = self.address(&self.operand(s, at)?.clone(), Space::Shared)?;
        let (mut token, mut done) = (None, None);
        if has_result {
            let result = self.operand(s, 0)?.clone();
            match kind {
                MBarrierKind::Wait { .. } => done = Some(self.target_pred(&result)?),
                _ if result == Operand::Sink => {}
                _ => token = Some(self.target_value(&result, Ty::B64)?),
            }
        }
        let ty = match kind {
            MBarrierKind::Wait { parity: false } => Ty::B64,
            _ => Ty::U32,
        };
        let operand = match s.operands.get(at + 1).cloned() {
            Some(operand) => Some(self.source(&operand, ty)?),
            None => None,
        };
        self.note_shared(Space::Shared, 8);
        Ok(Op::MBarrier(Box::new(MBarrier { kind, address, token, done, operand })))
    }

    /// Decodes `cp.async.mbarrier.arrive`: an arrival once the thread's previous copies are
    /// complete.
    pub(super) fn copy_arrive(&mut self, m: &mut Mods<'_>, s: &Statement) -> Decoded<Op> {
        m.has("arrive");
        m.has("b64");
        let counted = m.has("noinc");
        if !(m.has("shared") | m.has("shared::cta")) {
            return Err("an mbarrier outside the block's shared memory".to_owned());
        }
        let address = self.address(&self.operand(s, 0)?.clone(), Space::Shared)?;
        let kind = MBarrierKind::CopyArrive { counted };
        let op = MBarrier { kind, address, token: None, done: None, operand: None };
        self.note_shared(Space::Shared, 8);
        Ok(Op::MBarrier(Box::new(op)))
    }

    /// Decodes `cp.async.bulk` from global to shared memory.
    pub(super) fn copy_bulk(&mut self, m: &mut Mods<'_>, s: &Statement) -> Decoded<Op> {
        let to_shared = m.has("shared::cta") | m.has("shared::cluster");
        if !to_shared || !m.has("global") || !m.has("mbarrier::complete_tx::bytes") {
            return Err("this bulk copy is not known".to_owned());
        }
        if s.operands.len() != 4 {
            return Err("a bulk copy with a cache policy".to_owned());
        }
        let to = self.address(&self.operand(s, 0)?.clone(), Space::Shared)?;
        let from = self.address(&self.operand(s, 1)?.clone(), Space::Global)?;
        let size = self.s32(s, 2, Ty::U32)?;
        let barrier = self.address(&self.operand(s, 3)?.clone(), Space::Shared)?;
        self.note_shared(Space::Shared, 8);
        Ok(Op::CopyBulk(Box::new(CopyBulk { to, from, size, barrier })))
    }
}
