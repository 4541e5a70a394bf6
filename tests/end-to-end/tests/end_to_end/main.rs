//! Server, operator and devices as real processes, in one program: each costs its time to link.

mod agent;
mod aktualizr;
mod bad_input;
mod buckets;
mod ciphertexts;
mod delegations;
mod encrypted;
mod garage;
mod health;
mod identity;
mod keys;
mod lockbox;
mod logs;
mod main_job;
mod network;
mod power_cuts;
mod secondaries;
mod servers;
mod slots;
mod slots_by_hand;
mod support;
mod token;
mod transfers;
mod tuf_form;
mod vehicle_media;
mod workshop;
