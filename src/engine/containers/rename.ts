import { EngineError } from "../../base/errors.ts";
import { publishContainerEvent, type ContainerContext } from "./context.ts";
import { endpointRequestOf } from "./endpoint-requests.ts";
import { checkName } from "./names.ts";

/** `POST /containers/{id}/rename` */
export async function rename(context: ContainerContext, nameOrId: string, newName: string): Promise<void> {
  const container = context.set.get(nameOrId);
  if (newName === "") throw new EngineError("invalid", "Neither old nor new names may be empty");
  checkName(newName);
  const name = newName.replace(/^\//, "");
  await context.set.locked(container, async () => {
    const oldName = container.name;
    if (name === oldName) throw new EngineError("invalid", `Renaming a container with the same name as its current name`);
    const reservation = context.set.reserveName(name, container.id);
    try {
      await context.set.rename(container, name);
    } catch (error) {
      reservation.release();
      throw error;
    }
    const { EndpointsConfig } = container.networking;
    context.networks.rename(container.id, name, (network) => endpointRequestOf(container, network, EndpointsConfig.get(network)).dnsNames);
    publishContainerEvent(context, container, "rename", { oldName: `/${oldName}` });
  });
}
