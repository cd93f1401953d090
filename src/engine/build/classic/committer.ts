import type { FinishedLayer, LayerDriver } from "../../../store/layers.ts";
import type { Images, StepImage } from "../../images/images.ts";
import type { Results } from "../graph/results.ts";

/** A step that is done and has to become durable. */
export interface DoneStep {
  /** Undefined: the layer alone. */
  image: StepImage | undefined;
  layer: FinishedLayer | undefined;
  /** What the layer is to be found by from then on. */
  keys: string[];
  /** Hears whether it became so. */
  onDone: (isDone: boolean) => void;
}

/** Makes steps durable in the order in which they come, while the next ones run: all that wait share one sync of the disk. */
export class Committer {
  readonly #layers: LayerDriver;
  readonly #images: Images;
  readonly #results: Results;
  #waiting: DoneStep[] = [];
  #working: Promise<void> | undefined;
  #failure: unknown;

  constructor({ layers, images, results }: { layers: LayerDriver; images: Images; results: Results }) {
    this.#layers = layers;
    this.#images = images;
    this.#results = results;
  }

  add(step: DoneStep): void {
    this.#waiting.push(step);
    this.#working ??= this.#work();
  }

  /** Resolves when all that was added is durable; rejects when something could not be made so. */
  async done(): Promise<void> {
    while (this.#working !== undefined) await this.#working;
    if (this.#failure !== undefined) throw this.#failure;
  }

  async #work(): Promise<void> {
    // After a failure nothing below waits for anything: `#working` has to be set before it is unset.
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      const steps = this.#waiting.splice(0);
      let isDone = false;
      try {
        if (this.#failure === undefined) {
          const layers = steps.flatMap(({ layer }) => (layer === undefined ? [] : [layer]));
          if (layers.length > 0) await this.#layers.commit(layers);
          for (const { layer, keys } of steps) if (layer !== undefined) this.#results.add(keys, layer.chainId);
          await this.#images.addSteps(steps.flatMap(({ image }) => (image === undefined ? [] : [image])));
          isDone = true;
        }
      } catch (error) {
        this.#failure = error;
      }
      for (const { onDone } of steps) onDone(isDone);
    }
    this.#working = undefined;
  }
}
