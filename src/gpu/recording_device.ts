// A device that takes down what a program records, and neither holds memory nor computes. With it a step of any size can
// be recorded on any machine, to ask what an adapter makes of its kernels.

/** What was asked of one pipeline. */
export interface RecordedPipeline {
  /** The label, `file.entryPoint`. */
  readonly name: string;
  /** WGSL. */
  readonly source: string;
  /** Its `@compute` function. */
  readonly entryPoint: string;
  /** Storage buffers that it binds. */
  buffers: number;
  /** The largest part of a buffer that it binds, in bytes. */
  largestBinding: number;
  /** The most workgroups along an axis. */
  workgroups: number;
  /** Times that it was dispatched. */
  dispatches: number;
}

/** Makes a device that stands in for another, and the list of pipelines that it is asked for, as they come. */
export function recordingDevice(
  { features, limits }: { features: Pick<ReadonlySet<string>, "has">; limits: GPUSupportedLimits },
): { device: GPUDevice; pipelines: readonly RecordedPipeline[] } {
  const pipelines: RecordedPipeline[] = [];
  const recorded = new Map<object, RecordedPipeline>(); // by pipeline and by layout
  const nothing = () => {};
  const resource = (descriptor: object) => ({
    ...descriptor,
    destroy: nothing,
    createView: () => ({}),
  });
  const device = {
    ...{ features, limits, lost: new Promise(nothing) },
    ...{ addEventListener: nothing, destroy: nothing },
    queue: { writeBuffer: nothing, submit: nothing },
    createBuffer: resource,
    createTexture: resource,
    createShaderModule: ({ code }: GPUShaderModuleDescriptor) => ({ code }),
    createComputePipeline({ label, compute }: GPUComputePipelineDescriptor) {
      const pipeline = { getBindGroupLayout: () => pipeline };
      const { code } = compute.module as unknown as { code: string };
      const record = {
        ...{ name: label!, source: code, entryPoint: compute.entryPoint! },
        ...{ buffers: 0, largestBinding: 0, workgroups: 0, dispatches: 0 },
      };
      pipelines.push(record);
      recorded.set(pipeline, record);
      return pipeline;
    },
    createBindGroup({ layout, entries }: GPUBindGroupDescriptor) {
      const record = recorded.get(layout)!;
      const sizes = [...entries].flatMap(({ resource }) => storageBytes(resource) ?? []);
      record.buffers = Math.max(record.buffers, sizes.length);
      record.largestBinding = Math.max(record.largestBinding, ...sizes);
      return {};
    },
    createCommandEncoder: () => ({
      ...{ clearBuffer: nothing, copyBufferToBuffer: nothing, copyBufferToTexture: nothing },
      finish: nothing,
      beginComputePass() {
        let current: RecordedPipeline | undefined;
        return {
          setPipeline: (pipeline: object) => current = recorded.get(pipeline),
          dispatchWorkgroups(...counts: number[]) {
            current!.dispatches++;
            current!.workgroups = Math.max(current!.workgroups, ...counts);
          },
          ...{ setBindGroup: nothing, end: nothing },
        };
      },
    }),
  };
  return { device: device as unknown as GPUDevice, pipelines };
}

// Bytes that an entry binds of a storage buffer; of uniforms and textures nothing.
function storageBytes(resource: GPUBindingResource): number | undefined {
  if (!("buffer" in resource)) return undefined;
  const { usage } = resource.buffer as unknown as GPUBufferDescriptor;
  return (usage & GPUBufferUsage.STORAGE) !== 0 ? resource.size : undefined;
}
