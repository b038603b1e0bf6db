import type { Refuse } from '../answer-error.ts'
import type { Stage } from '../exchange.ts'
import type { Judge } from './verdict.ts'

/**
 * Turns away clients by address, before anything costs more: 403, or a closed socket where the peer itself is denied.
 *
 * Decides twice by the same lists. `admit` judges the peer when its socket is accepted, before TLS; a trusted proxy
 * passes there, for it speaks for others. The stage judges the client that the exchange names. Never reads a header:
 * whose word counts was settled by client-address.ts. Keeps the compiled lists and nothing else.
 */
export function guardStage(judge: Judge, refuse: Refuse): Stage {
  const refusal = { status: 403, code: 'denied' }
  return {
    name: 'guard',
    wrap: (next) => (exchange) => {
      const verdict = judge(exchange.clientAddress)
      switch (verdict.kind) {
        case 'admit':
          exchange.note('guard', 'admitted', verdict.rule)
          return next(exchange)
        case 'deny':
          exchange.note('guard', 'denied', verdict.rule)
          return refuse(exchange, refusal)
        default:
          return verdict satisfies never
      }
    },
  }
}

/** The gate of the listeners, asked with the address of the peer (after PROXY), before TLS. */
export type Admit = (peerAddress: string) => 'accept' | 'close'

export function admitWith(judge: Judge, isTrustedProxy: (address: string) => boolean): Admit {
  return (peerAddress) =>
    judge(peerAddress).kind === 'admit' || isTrustedProxy(peerAddress) ? 'accept' : 'close'
}
