use rayon::prelude::*;

use crate::Model;
use crate::ops::matrix::Store;
use crate::ops::{ROWS, attention, rms_norm, rope, swiglu};
use crate::pack::Row;
use crate::tape::{Kept, Scratch};

/// One block over one row.
#[derive(Clone, Copy)]
pub(crate) struct Pass<'a> {
    pub block: usize,
    /// The block's input.
    pub x: &'a [f32],
    pub parameters: &'a [f32],
    pub row: &'a Row,
}

impl Model {
    /// Runs a block. Without `out` nothing but what the backward pass needs is
    /// computed.
    pub(crate) fn forward_block(
        &self,
        pass: Pass<'_>,
        kept: &mut Kept,
        scratch: &mut Scratch,
        out: Option<&mut [f32]>,
    ) {
        let Pass { block: n, x, parameters, row } = pass;
        let (a, place, tokens) = (&self.architecture, &self.places.blocks[n], row.tokens.len());
        let (all, weights) = (tokens * a.width, self.weights(parameters));
        let (x, normed) = (&x[..all], &mut scratch.normed[..all]);
        let [u_qkv, u_o, u_gate_up, u_down] = &mut kept.u;

        let gain = &weights[place.attention_norm.clone()];
        rms_norm::forward(x, gain, a.norm_eps, normed, &mut kept.inverse[..tokens]);
        let rows = &mut scratch.rows[..tokens * self.heads.row()];
        self.linear(n, 0, parameters).forward(normed, Store::Set, rows, u_qkv);
        if let Some(norms) = self.head_norms(n, parameters) {
            let inverse = &mut kept.head_inverse[..tokens * (a.heads + a.kv_heads)];
            norms.forward(rows, a.norm_eps, &mut kept.raw, inverse);
        }
        rope::forward(rows, &row.positions, &self.angles, self.heads, &mut kept.by_head);
        let attended = &mut kept.attention[..tokens * self.heads.queries()];
        attention::forward(&kept.by_head, &row.segments, self.heads, attended, &mut kept.log_sums);
        let middle = &mut kept.middle[..all];
        copy(x, middle);
        self.linear(n, 1, parameters).forward(attended, Store::Add, middle, u_o);

        let gain = &weights[place.feed_forward_norm.clone()];
        rms_norm::forward(middle, gain, a.norm_eps, normed, &mut kept.middle_inverse[..tokens]);
        let gate_up = &mut kept.gate_up[..tokens * 2 * a.hidden];
        self.linear(n, 2, parameters).forward(normed, Store::Set, gate_up, u_gate_up);
        let hidden = &mut scratch.hidden[..tokens * a.hidden];
        swiglu::forward(gate_up, hidden, a.hidden);
        let down = self.linear(n, 3, parameters);
        match out {
            Some(out) => {
                copy(middle, &mut out[..all]);
                down.forward(hidden, Store::Add, &mut out[..all], u_down);
            }
            None => down.narrow(hidden, u_down),
        }
    }

    /// Turns the gradient of the block's output, in `scratch.dx`, into that of its input.
    pub(crate) fn backward_block(&self, pass: Pass<'_>, kept: &mut Kept, scratch: &mut Scratch, gradient: &mut [f32]) {
        let Pass { block: n, x, parameters, row } = pass;
        let (a, place, tokens) = (&self.architecture, &self.places.blocks[n], row.tokens.len());
        let (all, weights, whole) = (tokens * a.width, self.weights(parameters), self.layout.whole);
        let [u_qkv, u_o, u_gate_up, u_down] = &kept.u;
        let Scratch { normed, rows, hidden, dx, d_normed, d_attention, d_by_head, partial, e, .. } = scratch;
        let (normed, dx, d_normed) = (&mut normed[..all], &mut dx[..all], &mut d_normed[..all]);

        let (down, hidden) = (self.linear(n, 3, parameters), &mut hidden[..tokens * a.hidden]);
        down.backward(dx, u_down, e, Some((Store::Set, hidden)), gradient);
        let gate_up = &mut kept.gate_up[..tokens * 2 * a.hidden];
        swiglu::backward(gate_up, hidden, a.hidden);
        down.backward_weights(hidden, dx, e, gradient);

        let (middle, inverse) = (&kept.middle[..all], &kept.middle_inverse[..tokens]);
        let linear = self.linear(n, 2, parameters);
        linear.backward(gate_up, u_gate_up, e, Some((Store::Set, d_normed)), gradient);
        let gain = &weights[place.feed_forward_norm.clone()];
        rms_norm::again(middle, inverse, gain, normed);
        linear.backward_weights(normed, gate_up, e, gradient);
        if whole {
            rms_norm::backward_gain(middle, inverse, d_normed, &mut gradient[place.feed_forward_norm.clone()]);
        }
        rms_norm::backward(middle, inverse, gain, d_normed, dx);

        let linear = self.linear(n, 1, parameters);
        let attended = tokens * self.heads.queries();
        linear.backward(dx, u_o, e, Some((Store::Set, &mut d_attention[..attended])), gradient);
        linear.backward_weights(&kept.attention[..attended], dx, e, gradient);
        let forward = attention::Kept {
            x: &kept.by_head,
            out: &kept.attention[..attended],
            log_sums: &kept.log_sums,
            d_out: &d_attention[..attended],
        };
        attention::backward(&forward, &row.segments, self.heads, d_by_head, partial);
        let rows = &mut rows[..tokens * self.heads.row()];
        rope::backward(d_by_head, &row.positions, &self.angles, self.heads, rows);
        if let Some(norms) = self.head_norms(n, parameters) {
            if let Some(place) = place.head_norms.clone().filter(|_| whole) {
                norms.backward_gains(rows, &kept.raw, &kept.head_inverse, &mut gradient[place]);
            }
            norms.backward(rows, &kept.raw, &kept.head_inverse);
        }
        let linear = self.linear(n, 0, parameters);
        let (x, inverse) = (&x[..all], &kept.inverse[..tokens]);
        // Only a trained embedding, norm or lower block needs the gradient of the block's input.
        let below = n > 0 || whole;
        let to = below.then_some((Store::Set, &mut *d_normed));
        linear.backward(rows, u_qkv, e, to, gradient);
        let gain = &weights[place.attention_norm.clone()];
        rms_norm::again(x, inverse, gain, normed);
        linear.backward_weights(normed, rows, e, gradient);
        if whole {
            rms_norm::backward_gain(x, inverse, d_normed, &mut gradient[place.attention_norm.clone()]);
        }
        if below {
            rms_norm::backward(x, inverse, gain, d_normed, dx);
        }
    }
}

fn copy(from: &[f32], to: &mut [f32]) {
    const BLOCK: usize = ROWS * 1024;
    (from.par_chunks(BLOCK), to.par_chunks_mut(BLOCK)).into_par_iter().for_each(|(from, to)| to.copy_from_slice(from));
}
