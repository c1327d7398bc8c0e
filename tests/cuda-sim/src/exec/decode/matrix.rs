//! Matrix instructions.

use super::*;
use crate::exec::matrix::{Element, Fragments, LoadMatrix, Mma, Part, WmmaAccess};

impl Scope<'_, '_> {
    pub(super) fn matrix(&mut self, base: &str, m: &mut Mods<'_>, s: &Statement) -> Decoded<Op> {
        m.has("sync");
        m.has("aligned");
        match base {
            "mma" => self.mma(m, s),
            "wmma" => self.wmma(m, s),
            "movmatrix" => {
                if !m.has("trans") || !m.has("m8n8") {
                    return Err("this movmatrix is not known".to_owned());
                }
                m.ty()?;
                Ok(Op::MoveMatrix(self.d32(s, 0)?, self.s32(s, 1, Ty::B32)?))
            }
            _ => {
                if !m.has("m8n8") {
                    return Err("only matrices of 8 x 8 are known".to_owned());
                }
                let count = m.one_of(&[("x1", 1), ("x2", 2), ("x4", 4)]);
                let count = count.ok_or("the number of matrices is missing")?;
                let transposed = m.has("trans");
                let space = Self::space_of(m);
                if m.ty()? != Ty::B16 {
                    return Err("only 16-bit elements are known".to_owned());
                }
                let load = base == "ldmatrix";
                let (value, address) = if load { (0, 1) } else { (1, 0) };
                let registers = self.list32(s, value, load)?;
                if registers.len() != count {
                    return Err(format!("{} registers for {count} matrices", registers.len()));
                }
                let address = self.matrix_address(s, address, space)?;
                self.note_shared(address.space, 16);
                let access = Box::new(LoadMatrix { address, registers, transposed });
                Ok(if load { Op::LoadMatrix(access) } else { Op::StoreMatrix(access) })
            }
        }
    }

    /// Returns the registers of a fragment.
    fn list32(&mut self, s: &Statement, at: usize, target: bool) -> Decoded<Vec<S32>> {
        let parts = match self.operand(s, at)?.clone() {
            Operand::Vector(parts) => parts,
            one => vec![one],
        };
        parts
            .iter()
            .map(|part| if target { self.target32(part) } else { self.source32(part, Ty::B32) })
            .collect()
    }

    fn element(ty: Ty) -> Decoded<Element> {
        match ty {
            Ty::F16 => Ok(Element::F16),
            Ty::Bf16 => Ok(Element::Bf16),
            Ty::Tf32 => Ok(Element::Tf32),
            Ty::F32 => Ok(Element::F32),
            _ => Err("a matrix of this type".to_owned()),
        }
    }

    fn mma(&mut self, m: &mut Mods<'_>, s: &Statement) -> Decoded<Op> {
        let k = m.one_of(&[("m16n8k4", 4), ("m16n8k8", 8), ("m16n8k16", 16)]);
        let k = k.ok_or("a product of this shape")?;
        if !m.has("row") || !m.has("col") {
            return Err("a product of this layout".to_owned());
        }
        let types = [m.ty()?, m.ty()?, m.ty()?, m.ty()?];
        let [d, a, b, c] = types.map(Self::element);
        let (d, a, b, c) = (d?, a?, b?, c?);
        let per = if a == Element::Tf32 { 1 } else { 2 };
        let known = match a {
            Element::F16 => k != 4 && d == c && matches!(d, Element::F16 | Element::F32),
            Element::Bf16 => k != 4 && d == Element::F32 && c == Element::F32,
            Element::Tf32 => k != 16 && d == Element::F32 && c == Element::F32,
            Element::F32 => false,
        };
        if a != b || !known {
            return Err("a product of these types".to_owned());
        }
        let mma = Mma {
            k,
            element: a,
            sum: d,
            d: self.list32(s, 0, true)?,
            a: self.list32(s, 1, false)?,
            b: self.list32(s, 2, false)?,
            c: self.list32(s, 3, false)?,
        };
        let sums = if d == Element::F16 { 2 } else { 4 };
        let expected = [sums, 16 * k / 32 / per, 8 * k / 32 / per, sums];
        if [mma.d.len(), mma.a.len(), mma.b.len(), mma.c.len()] != expected {
            return Err("a product with a wrong number of registers".to_owned());
        }
        Ok(Op::Mma(Box::new(mma)))
    }

    fn wmma(&mut self, m: &mut Mods<'_>, s: &Statement) -> Decoded<Op> {
        let kind = m.next().ok_or("the kind of wmma is missing")?;
        let shape = m.one_of(&[
            ("m16n16k16", [16, 16, 16]),
            ("m32n8k16", [32, 8, 16]),
            ("m8n32k16", [8, 32, 16]),
            ("m16n16k8", [16, 16, 8]),
        ]);
        let shape = shape.ok_or("wmma of this shape")?;
        if kind == "mma" {
            return self.wmma_product(shape, m, s);
        }
        let part = m.one_of(&[("a", Part::A), ("b", Part::B), ("c", Part::C), ("d", Part::C)]);
        let part = part.ok_or("the matrix of wmma is missing")?;
        let row = m.has("row");
        if !row && !m.has("col") {
            return Err("wmma without a layout".to_owned());
        }
        let space = Self::space_of(m);
        let element = Self::element(m.ty()?)?;
        let load = kind == "load";
        let (value, address) = if load { (0, 1) } else { (1, 0) };
        let registers = self.list32(s, value, load)?;
        let address = self.matrix_address(s, address, space)?;
        let stride = match s.operands.len() {
            3 => Some(self.s32(s, 2, Ty::U32)?),
            _ => None,
        };
        let access = WmmaAccess { part, shape, row, element, address, stride, registers };
        access.check()?;
        self.note_shared(access.address.space, element.bytes());
        let access = Box::new(access);
        match kind {
            "load" => Ok(Op::WmmaLoad(access)),
            "store" => Ok(Op::WmmaStore(access)),
            _ => Err("this kind of wmma is not known".to_owned()),
        }
    }

    fn wmma_product(&mut self, shape: [usize; 3], m: &mut Mods<'_>, s: &Statement) -> Decoded<Op> {
        // The layouts describe how the fragments were loaded. Here the registers of a fragment mean
        // the same for both.
        let layouts = s.opcode.iter().filter(|part| matches!(part.as_str(), "row" | "col")).count();
        if layouts != 2 {
            return Err("wmma without layouts".to_owned());
        }
        while m.has_unused("row") || m.has_unused("col") {}
        let mut types = Vec::new();
        while let Ok(ty) = m.ty() {
            types.push(Self::element(ty)?);
        }
        // For f16: the types of d and c; for others: d, a, b, c.
        let (d, element, c) = match types.as_slice() {
            [d, c] => (*d, Element::F16, *c),
            [d, a, b, c] if a == b => (*d, *a, *c),
            _ => return Err("wmma of these types".to_owned()),
        };
        if m.has("satfinite") || m.has("rn") {
            return Err("this wmma is not known".to_owned());
        }
        let product = Fragments {
            shape,
            element,
            d_element: d,
            c_element: c,
            d: self.list32(s, 0, true)?,
            a: self.list32(s, 1, false)?,
            b: self.list32(s, 2, false)?,
            c: self.list32(s, 3, false)?,
        };
        product.check()?;
        Ok(Op::Wmma(Box::new(product)))
    }
}
