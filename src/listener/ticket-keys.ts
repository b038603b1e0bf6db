import type { Clock, Timer } from '../clock.ts'

/**
 * TLS session ticket keys: made in the main thread, the same in every worker, replaced on time.
 *
 * A ticket from one worker resumes on any other. Whoever steals a key can open the sessions recorded while it was in use
 * (TLS 1.2 has no forward secrecy behind a ticket), so a key lives for one period only and is never written anywhere.
 * OpenSSL behind Node holds one key: with the rotation older tickets expire and those clients make one full handshake.
 */
export const ticketKeyBytes = 48

export interface TicketKeys {
  /** 48 bytes: name, HMAC and cipher key. */
  readonly current: Uint8Array
  stop(): void
}

/** Starts with a fresh key and calls `changed` with a new one every `periodMs`. */
export function rotateTicketKeys(
  periodMs: number,
  clock: Clock,
  randomBytes: (size: number) => Uint8Array,
  changed: (key: Uint8Array) => void,
): TicketKeys {
  let current = randomBytes(ticketKeyBytes)
  let timer: Timer
  // Timers take 31 bits of milliseconds; a long period is waited for in days.
  const wait = (leftMs: number): void => {
    const stepMs = Math.min(leftMs, 86_400_000)
    timer = clock.after(stepMs, () => {
      if (leftMs > stepMs) {
        wait(leftMs - stepMs)
        return
      }
      current = randomBytes(ticketKeyBytes)
      changed(current)
      wait(periodMs)
    })
  }
  wait(periodMs)
  return {
    get current() {
      return current
    },
    stop: () => timer.cancel(),
  }
}
