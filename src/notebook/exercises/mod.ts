/** The checks of the lessons' exercises; each tells a right answer from wrong ones. @module */

export * as lesson1 from "./selective_loss.ts";
export * as lesson2 from "./kernels.ts";
export * as lesson3 from "./names.ts";
export * as lesson4 from "./toxicity.ts";
export * as lesson5 from "./objectives.ts";
export * as lesson6 from "./attacks.ts";
export * as lesson7 from "./own_data.ts";
export * as lesson8 from "./real_model.ts";
