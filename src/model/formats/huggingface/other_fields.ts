// The fields of a configuration that no family here reads. Some say nothing about the numbers; some change them in other
// families, and a file that sets one was hardly meant for the family that it names; of the rest nobody knows.

import type { Fields } from "./fields.ts";

/** What a model is called, how it was trained, and how text is drawn from it: not what it computes. */
const harmless = new Set(words(`
  architectures model_type _name_or_path name_or_path transformers_version torch_dtype dtype
  initializer_range initializer_factor rescale_layers gradient_checkpointing
  attention_dropout hidden_dropout dropout embd_pdrop resid_pdrop attn_pdrop classifier_dropout
  summary_activation summary_first_dropout summary_proj_to_labels summary_type summary_use_proj
  id2label label2id problem_type finetuning_task task_specific_params tokenizer_class prefix
  max_window_layers n_ctx n_special predict_special_tokens output_past pretraining_tp
  reorder_and_upcast_attn use_cache use_bfloat16 torchscript return_dict return_dict_in_generate
  output_attentions output_hidden_states output_scores chunk_size_feed_forward is_decoder
  attn_implementation _attn_implementation _flash_attn_2_enabled
  bos_token_id eos_token_id pad_token_id unk_token_id sep_token_id cls_token_id
  decoder_start_token_id forced_bos_token_id forced_eos_token_id bad_words_ids
  max_length min_length max_new_tokens do_sample temperature top_k top_p typical_p
  num_beams num_beam_groups diversity_penalty repetition_penalty length_penalty early_stopping
  no_repeat_ngram_size encoder_no_repeat_ngram_size num_return_sequences remove_invalid_values
  exponential_decay_length_penalty suppress_tokens begin_suppress_tokens
`));

/** What changes the numbers of other families, unless it is null, false or empty. */
const ofOtherFamilies = new Set(words(`
  sliding_window use_sliding_window sliding_window_pattern attention_window attention_chunk_size
  layer_types no_rope_layers no_rope_layer_interval attn_temperature_tuning
  attn_logit_softcapping final_logit_softcapping logits_soft_cap
  query_pre_attn_scalar attention_multiplier embedding_multiplier residual_multiplier
  logits_scaling logit_scale scale_emb scale_depth dim_model_base mup_width_multiplier
  clip_qkv qk_norm use_qk_norm qk_layernorm use_qkv_bias qkv_bias use_bias bias alibi use_alibi
  parallel_attn use_parallel_residual new_decoder_architecture multi_query position_embedding_type
  num_experts num_local_experts num_experts_per_tok n_routed_experts kv_lora_rank q_lora_rank
  partial_rotary_factor rotary_pct rotary_dim mrope_section use_mrope rope_interleave
  add_cross_attention is_encoder_decoder cross_attention_hidden_size tie_encoder_decoder
  pruned_heads adapters quantization_config quantization compression_config
  vision_config text_config audio_config
`));

/** What each of these would be in a model that does without it. */
const neutral: Readonly<Record<string, unknown>> = {
  embedding_multiplier: 1,
  residual_multiplier: 1,
  logits_scaling: 1,
  logit_scale: 1,
  scale_emb: 1,
  partial_rotary_factor: 1,
  rotary_pct: 1,
  position_embedding_type: "rope",
};

/**
 * Goes through the fields that a family did not read.
 *
 * @returns The names of those that are unknown: nothing here tells what they mean.
 * @throws {CannotError} for one that changes the numbers of another family.
 */
export function passOver(fields: Fields, family: string): string[] {
  const unread = fields.unread().filter((name) => !harmless.has(name));
  for (const name of unread) {
    if (!ofOtherFamilies.has(name) || isNeutral(name, fields.value(name))) continue;
    const why = `which "${family}" does not have and other families compute with`;
    throw fields.refuse(name, why, "Check the model_type, or remove the field if it means nothing");
  }
  return unread.filter((name) => !ofOtherFamilies.has(name));
}

function isNeutral(name: string, value: unknown): boolean {
  if (name !== "layer_types") return Object.hasOwn(neutral, name) && value === neutral[name];
  return Array.isArray(value) && value.every((kind) => kind === "full_attention");
}

function words(text: string): string[] {
  return text.trim().split(/\s+/);
}
