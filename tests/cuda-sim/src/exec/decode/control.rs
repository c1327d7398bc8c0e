//! Branches, barriers, and instructions that involve all threads of a warp.

use super::*;

impl Scope<'_, '_> {
    pub(super) fn flow(&mut self, base: &str, m: &mut Mods<'_>, s: &Statement) -> Decoded<Op> {
        m.has("uni");
        match base {
            "ret" | "exit" => Ok(Op::Exit),
            "trap" => Ok(Op::Trap),
            "brkpt" => Ok(Op::Nop),
            "nanosleep" => {
                m.ty()?;
                Ok(Op::Nop)
            }
            "brx" => {
                m.has("idx");
                let index = self.s32(s, 0, Ty::U32)?;
                match self.operand(s, 1)? {
                    Operand::Labels(targets) => Ok(Op::BranchTable(index, targets.clone())),
                    _ => Err("an indexed branch without a table".to_owned()),
                }
            }
            _ => match self.operand(s, 0)? {
                Operand::Label(target) => Ok(Op::Branch(*target)),
                _ => Err("a branch without a label".to_owned()),
            },
        }
    }

    pub(super) fn together(&mut self, base: &str, m: &mut Mods<'_>, s: &Statement) -> Decoded<Op> {
        match base {
            "activemask" => {
                m.ty()?;
                Ok(Op::ActiveMask(self.d32(s, 0)?))
            }
            "bar" | "barrier" => self.barrier(m, s),
            "shfl" => self.shuffle(m, s),
            "elect" => {
                m.has("sync");
                let Operand::Pair(d, p) = self.operand(s, 0)?.clone() else {
                    return Err("elect without a pair of results".to_owned());
                };
                let (d, p) = (self.target32(&d)?, self.target_pred(&p)?);
                Ok(Op::Elect { d, p, members: self.s32(s, 1, Ty::B32)? })
            }
            "vote" => self.vote(m, s),
            "match" => {
                m.has("sync");
                let all = m.has("all");
                if !all && !m.has("any") {
                    return Err("match without .all or .any".to_owned());
                }
                let ty = m.ty()?;
                let (d, p) = match self.operand(s, 0)?.clone() {
                    Operand::Pair(d, p) => (self.target32(&d)?, Some(self.target_pred(&p)?)),
                    d => (self.target32(&d)?, None),
                };
                let a = self.source(&self.operand(s, 1)?.clone(), ty)?;
                Ok(Op::Match { all, d, p, a, members: self.s32(s, 2, Ty::B32)? })
            }
            _ => self.reduction(m, s),
        }
    }

    fn reduction(&mut self, m: &mut Mods<'_>, s: &Statement) -> Decoded<Op> {
        m.has("sync");
        let name = m.next().ok_or("a reduction is missing")?;
        let ty = m.ty()?;
        let mode = match (name, ty) {
            ("add", Ty::U32 | Ty::S32) => ReduceMode::Add,
            ("min", Ty::U32) => ReduceMode::MinU,
            ("max", Ty::U32) => ReduceMode::MaxU,
            ("min", Ty::S32) => ReduceMode::MinS,
            ("max", Ty::S32) => ReduceMode::MaxS,
            ("and", Ty::B32) => ReduceMode::And,
            ("or", Ty::B32) => ReduceMode::Or,
            ("xor", Ty::B32) => ReduceMode::Xor,
            _ => return Err("this reduction is not known".to_owned()),
        };
        let (d, a) = (self.d32(s, 0)?, self.s32(s, 1, ty)?);
        Ok(Op::Reduce { mode, d, a, members: self.s32(s, 2, Ty::B32)? })
    }

    fn barrier(&mut self, m: &mut Mods<'_>, s: &Statement) -> Decoded<Op> {
        if m.has("warp") {
            m.has("sync");
            return Ok(Op::BarrierWarp(self.s32(s, 0, Ty::B32)?));
        }
        m.has("cta");
        m.has("aligned");
        let arrive = m.has("arrive");
        let reduce = m.has("red");
        if !arrive && !reduce && !m.has("sync") {
            return Err("this barrier is not known".to_owned());
        }
        if !reduce {
            let id = self.s32(s, 0, Ty::U32)?;
            let count = match s.operands.len() {
                1 => None,
                _ => Some(self.s32(s, 1, Ty::U32)?),
            };
            return Ok(Op::Barrier(Box::new(Barrier { id, count, arrive, reduce: None })));
        }
        let mode = m.one_of(&[
            ("popc", ReduceMode::Count),
            ("and", ReduceMode::And),
            ("or", ReduceMode::Or),
        ]);
        let mode = mode.ok_or("this reduction is not known")?;
        let result = match m.ty()? {
            Ty::Pred => Result32::Pred(self.target_pred(&self.operand(s, 0)?.clone())?),
            _ => Result32::Value(self.d32(s, 0)?),
        };
        let id = self.s32(s, 1, Ty::U32)?;
        let last = s.operands.len() - 1;
        let count = if last == 3 { Some(self.s32(s, 2, Ty::U32)?) } else { None };
        let (p, negate) = self.pred(&self.operand(s, last)?.clone())?;
        let reduce = Some((mode, p, negate, result));
        Ok(Op::Barrier(Box::new(Barrier { id, count, arrive, reduce })))
    }

    fn shuffle(&mut self, m: &mut Mods<'_>, s: &Statement) -> Decoded<Op> {
        if !m.has("sync") {
            return Err("shfl without .sync".to_owned());
        }
        let mode = m.one_of(&[
            ("up", ShuffleMode::Up),
            ("down", ShuffleMode::Down),
            ("bfly", ShuffleMode::Butterfly),
            ("idx", ShuffleMode::Index),
        ]);
        let mode = mode.ok_or("this shuffle is not known")?;
        m.ty()?;
        let (d, p) = match self.operand(s, 0)?.clone() {
            Operand::Pair(d, p) => (self.target32(&d)?, Some(self.target_pred(&p)?)),
            d => (self.target32(&d)?, None),
        };
        let a = self.s32(s, 1, Ty::B32)?;
        let b = self.s32(s, 2, Ty::B32)?;
        let c = self.s32(s, 3, Ty::B32)?;
        Ok(Op::Shuffle { mode, d, p, a, b, c, members: self.s32(s, 4, Ty::B32)? })
    }

    fn vote(&mut self, m: &mut Mods<'_>, s: &Statement) -> Decoded<Op> {
        if !m.has("sync") {
            return Err("vote without .sync".to_owned());
        }
        let mode = m.one_of(&[
            ("all", VoteMode::All),
            ("any", VoteMode::Any),
            ("uni", VoteMode::Uniform),
            ("ballot", VoteMode::Ballot),
        ]);
        let mode = mode.ok_or("this vote is not known")?;
        let d = match m.ty()? {
            Ty::Pred => Result32::Pred(self.target_pred(&self.operand(s, 0)?.clone())?),
            _ => Result32::Value(self.d32(s, 0)?),
        };
        let (p, negate) = self.pred(&self.operand(s, 1)?.clone())?;
        Ok(Op::Vote { mode, d, p, negate, members: self.s32(s, 2, Ty::B32)? })
    }
}
