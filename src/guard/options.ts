import type { Cidr } from '../net-address.ts'
import { cidr, listOf, strictObject } from '../schema.ts'
import type { Checked } from '../schema.ts'

/**
 * Who may come in. The longest prefix that holds an address decides, deny before allow at equal length.
 * With an empty `allow` everybody else may come in; with a filled one nobody else may.
 * (How many connections a client may hold open is `limits.connectionsPerClient`, counted by the listeners.)
 */
export interface GuardOptions {
  readonly allow: readonly Cidr[]
  readonly deny: readonly Cidr[]
}

export const guardSchema = strictObject({
  allow: listOf(cidr(), 100_000)
    .optional()
    .describe('When given, only these clients may come in. Default: all.'),
  deny: listOf(cidr(), 100_000)
    .optional()
    .describe('Clients that may not come in; where both lists hold an address, the longer prefix decides.'),
})

export function resolveGuard(checked: Checked<typeof guardSchema>): GuardOptions {
  return { allow: checked.allow ?? [], deny: checked.deny ?? [] }
}
