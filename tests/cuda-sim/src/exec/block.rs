//! A block: runs its warps in turn, and its barriers.

use super::env::{Env, Place, Run};
use super::op::{Op, ReduceMode};
use super::warp::{Stop, Warp};
use super::{Launch, Stats};
use crate::check::Kind;
use crate::device::{Allocations, Device};

/// Arrivals at a barrier without waiting: the number of threads, and what they knew of the others.
#[derive(Debug, Default)]
struct Arrived {
    threads: u32,
    snapshots: Vec<[u32; 32]>,
}

/// Number of rounds of all warps without an arrival at an `mbarrier` that counts as a deadlock.
const IDLE_ROUNDS: u32 = 10_000;

/// State that is reused from block to block.
#[derive(Debug)]
pub struct Block<'a> {
    env: Env<'a>,
    warps: Vec<Warp>,
    arrived: [Arrived; 16],
}

impl<'a> Block<'a> {
    /// Allocates the state for the blocks of a launch.
    pub fn new(device: &'a Device, launch: &'a Launch<'a>, allocations: &'a Allocations) -> Self {
        let env = Env::new(device, launch, allocations);
        let count = env.threads().div_ceil(32) as usize;
        let warps = (0..count).map(|index| Warp::new(&env, index)).collect();
        Self { env, warps, arrived: Default::default() }
    }

    /// Runs a block to its end.
    pub fn run(&mut self, block: [u32; 3]) -> Run<Stats> {
        self.env.start(block);
        self.arrived = Default::default();
        let before = self.steps();
        for warp in &mut self.warps {
            warp.start(&self.env);
        }
        let mut idle = 0;
        loop {
            let mut running = false;
            self.env.progress = false;
            self.env.asked_in_vain = false;
            let round = self.steps().0;
            for index in 0..self.warps.len() {
                if self.warps[index].alive == 0 || self.warps[index].arrival.is_some() {
                    continue;
                }
                running = true;
                self.run_warp(index)?;
            }
            if running {
                self.check_time(before.0)?;
                // No thread arrives at the barrier that others poll, and no other thread makes
                // progress.
                let busy = self.env.progress
                    || !self.env.asked_in_vain
                    || self.steps().0 - round > 1000 * self.warps.len() as u64;
                idle = if busy { 0 } else { idle + 1 };
                if idle > IDLE_ROUNDS {
                    return self.deadlock();
                }
                continue;
            }
            if self.warps.iter().all(|w| w.alive == 0) {
                let after = self.steps();
                return Ok(Stats {
                    blocks: 1,
                    warp_instructions: after.0 - before.0,
                    thread_instructions: after.1 - before.1,
                });
            }
            if !self.release()? {
                return self.deadlock();
            }
        }
    }

    fn run_warp(&mut self, index: usize) -> Run<()> {
        loop {
            let warp = &mut self.warps[index];
            match warp.run(&mut self.env)? {
                Stop::Arrived => {
                    let Some(arrival) = warp.arrival else { return Ok(()) };
                    let at = &mut self.arrived[arrival.id as usize % 16];
                    at.threads += 32;
                    if let Some(race) = &mut self.env.shared.race {
                        at.snapshots.push(race.arrive(index));
                    }
                    warp.release(&self.env, 0);
                }
                Stop::Done | Stop::Barrier | Stop::Yield => return Ok(()),
            }
        }
    }

    fn steps(&self) -> (u64, u64) {
        let all = self.warps.iter();
        all.fold((0, 0), |(w, t), warp| (w + warp.steps, t + warp.thread_steps))
    }

    fn check_time(&self, before: u64) -> Run<()> {
        if self.steps().0 - before <= self.env.device.instruction_limit {
            return Ok(());
        }
        let text = format!(
            "{} instructions of a block and no end: an endless loop?",
            self.env.device.instruction_limit
        );
        let Some(warp) = self.warps.iter().find(|w| w.alive != 0) else { return Ok(()) };
        Err(self.env.finding(warp.place(), Kind::Timeout, text))
            .or_else(|finding| self.env.device.findings.raise(*finding.clone()).and(Err(finding)))
    }

    /// Releases the warps whose barrier is complete. Returns whether there were any.
    fn release(&mut self) -> Run<bool> {
        let alive: u32 = self.warps.iter().map(|w| w.alive.count_ones()).sum();
        let mut any = false;
        for id in 0..16u32 {
            let waiting: Vec<usize> = (0..self.warps.len())
                .filter(|&w| self.warps[w].arrival.is_some_and(|a| a.id == id))
                .collect();
            let Some(&first) = waiting.first() else { continue };
            let Some(arrival) = self.warps[first].arrival else { continue };
            let passive = self.arrived[id as usize].threads;
            let (there, expected) = match arrival.count {
                // An explicit count refers to whole warps.
                Some(count) => (passive + 32 * waiting.len() as u32, count),
                None => {
                    let here =
                        waiting.iter().map(|&w| self.warps[w].alive.count_ones()).sum::<u32>();
                    (passive + here, alive)
                }
            };
            if there < expected {
                continue;
            }
            any = true;
            if arrival.count.is_none() && alive < self.env.threads() {
                let text = format!(
                    "{} of {} threads have ended before this barrier",
                    self.env.threads() - alive,
                    self.env.threads()
                );
                self.env.raise(self.warps[first].place(), Kind::ExitBeforeBarrier, text)?;
            }
            self.complete(id, &waiting, arrival.pc);
        }
        Ok(any)
    }

    fn complete(&mut self, id: u32, waiting: &[usize], pc: u32) {
        let arrived = std::mem::take(&mut self.arrived[id as usize]);
        if let Some(race) = &mut self.env.shared.race {
            let mask = waiting.iter().fold(0, |mask, &w| mask | 1 << w);
            for snapshot in &arrived.snapshots {
                waiting.iter().for_each(|&w| race.learn(w, snapshot));
            }
            race.barrier(mask, mask);
        }
        let votes = waiting.iter().filter_map(|&w| self.warps[w].arrival.map(|a| a.votes));
        let threads: u32 = waiting.iter().map(|&w| self.warps[w].alive.count_ones()).sum();
        let count: u32 = votes.map(u32::count_ones).sum();
        let result = match &self.env.program.code[pc as usize].op {
            Op::Barrier(barrier) => match barrier.reduce {
                Some((ReduceMode::And, ..)) => u32::from(count == threads),
                Some((ReduceMode::Or, ..)) => u32::from(count > 0),
                _ => count,
            },
            _ => 0,
        };
        for &warp in waiting {
            self.warps[warp].release(&self.env, result);
        }
    }

    fn deadlock<T>(&self) -> Run<T> {
        let waits = |w: &&Warp| w.arrival.is_some();
        if !self.warps.iter().any(|w| w.arrival.is_some()) {
            let asking = self.warps.iter().find(|w| w.alive != 0);
            let place = asking.map_or(Place { warp: 0, lane: 0, pc: 0 }, Warp::place);
            let text = "threads wait for an mbarrier at which nobody arrives any more".to_owned();
            let finding = self.env.finding(place, Kind::Barrier, text);
            self.env.device.findings.raise(*finding.clone())?;
            return Err(finding);
        }
        let waiting: u32 = self.warps.iter().filter(waits).map(|w| w.alive.count_ones()).sum();
        let first = self.warps.iter().find(waits);
        let place = first.map_or(Place { warp: 0, lane: 0, pc: 0 }, Warp::place);
        let other = self
            .warps
            .iter()
            .filter(waits)
            .find(|w| w.place().pc != place.pc)
            .map(|w| format!("; others wait at: {}", self.env.text(w.place().pc)));
        let text = format!(
            "{waiting} of {} threads wait at this barrier, which expects {}{}",
            self.env.threads(),
            first
                .and_then(|w| w.arrival.and_then(|a| a.count))
                .map_or("all".to_owned(), |n| n.to_string()),
            other.unwrap_or_default()
        );
        let finding = self.env.finding(place, Kind::Barrier, text);
        self.env.device.findings.raise(*finding.clone())?;
        Err(finding)
    }
}
