/** A thread's entry beside its caller: TypeScript in a checkout, JavaScript in the built package. */
export function threadFile(callerUrl: string, name: string): URL {
  return new URL(`./${name}${callerUrl.endsWith('.ts') ? '.ts' : '.js'}`, callerUrl)
}
