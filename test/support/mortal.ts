/** A kernel that dies between any two of its stores, as the thread that runs it may. */
import binaryen from "binaryen";
import type { KernelHarness } from "./kernel.ts";
import type { KernelBuild } from "./kernels.ts";

/** Where the u32 lies that says how many stores are left to the kernel; 0: it lives for ever. Nothing else is there. */
const LIFE = 64;

/** The same build, for which `dyingAfter` works. */
export function mortal(build: KernelBuild): KernelBuild {
  const module = binaryen.readBinary(build.bytes);
  module.setFeatures(binaryen.Features.All);
  module.runPasses(["instrument-memory"]);
  const [memory] = /(?<=\(import "env" "memory" \(memory \$)\S+/.exec(module.emitText())!;
  for (const { name, base } of hooksOf(module)) {
    const types = binaryen.expandType(binaryen.getFunctionInfo(module.getFunction(name)).params);
    module.removeFunction(name);
    const value = module.local.get(types.length - 1, types.at(-1)!);
    const body =
      base === "store_ptr" ? module.block(null, [countStore(module, memory), value]) : value;
    module.addFunction(name, binaryen.createType(types), types.at(-1)!, [], body);
  }
  const bytes = module.emitBinary();
  module.dispose();
  return { name: build.name, bytes, module: new WebAssembly.Module(bytes as BufferSource) };
}

/** Runs what makes the kernel work. False when it died at it, before its n-th store from now on. */
export function dyingAfter(k: KernelHarness, stores: number, run: () => void): boolean {
  k.view.setUint32(LIFE, stores, true);
  try {
    run();
    return false;
  } catch (error) {
    if (!(error instanceof WebAssembly.RuntimeError)) throw error;
    return true;
  } finally {
    k.view.setUint32(LIFE, 0, true);
  }
}

/** What the pass has the kernel import: called at each access, with what that is to take as last parameter. */
function hooksOf(module: binaryen.Module): { name: string; base: string }[] {
  return Array.from({ length: module.getNumFunctions() }, (_, index) => {
    const { name, base } = binaryen.getFunctionInfo(module.getFunctionByIndex(index));
    return { name, base: base ?? "" };
  }).filter(({ base }) => /^(load|store|memory|struct|array)_/.test(base));
}

function countStore(module: binaryen.Module, memory: string): binaryen.ExpressionRef {
  const life = (): binaryen.ExpressionRef => module.i32.load(0, 4, module.i32.const(LIFE), memory);
  const less = module.i32.sub(life(), module.i32.const(1));
  return module.if(
    life(),
    module.block(null, [
      module.i32.store(0, 4, module.i32.const(LIFE), less, memory),
      module.if(module.i32.eqz(life()), module.unreachable()),
    ]),
  );
}
