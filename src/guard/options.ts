import type { Cidr } from '../net-address.ts'

/**
 * Who may come in. The longest prefix that holds an address decides, deny before allow at equal length.
 * With an empty `allow` everybody else may come in; with a filled one nobody else may.
 * (How many connections a client may hold open is `limits.connectionsPerClient`, counted by the listeners.)
 */
export interface GuardOptions {
  readonly allow: readonly Cidr[]
  readonly deny: readonly Cidr[]
}
